"""Reading one image of a person's own."""

import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from qfm_jax._checks import InputError
from qfm_jax.data import read_image

PIXELS = (np.arange(28 * 28).reshape(28, 28) * 7 % 256).astype(np.uint8)


def encoded(picture, kind):
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()


PNG = encoded(Image.fromarray(PIXELS), "PNG")
JPEG = encoded(Image.fromarray(PIXELS), "JPEG")


def write(path, content):
    path.write_bytes(content)
    return path


def test_grey_png_keeps_its_values(tmp_path):
    image = read_image(write(tmp_path / "shirt.png", PNG))
    assert (image.dtype, image.shape) == (np.uint8, (28, 28))
    np.testing.assert_array_equal(image, PIXELS)


def test_jpeg_of_a_smooth_image_is_close(tmp_path):
    ramp = np.add.outer(np.arange(28), np.arange(28)).astype(np.uint8) * 4
    path = write(tmp_path / "ramp.jpg", encoded(Image.fromarray(ramp), "JPEG"))
    assert np.abs(read_image(path).astype(int) - ramp).max() <= 8


def test_colours_become_grey_by_luma(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (28, 28, 3), np.uint8)
    Image.fromarray(colours).save(tmp_path / "colour.png")
    luma = colours @ [0.299, 0.587, 0.114]  # ITU-R BT.601
    assert np.abs(read_image(tmp_path / "colour.png") - luma).max() <= 1


def test_transparent_pixels_become_black(tmp_path):
    white = np.full((28, 28, 4), 255, np.uint8)
    white[:14, :, 3] = 0
    Image.fromarray(white).save(tmp_path / "cutout.png")
    expected = np.repeat([0, 255], 14)[:, None] * np.ones(28)
    np.testing.assert_array_equal(read_image(tmp_path / "cutout.png"), expected)


@pytest.mark.parametrize("array", [PIXELS, PIXELS.astype(int), PIXELS / 255])
def test_npy_of_whole_numbers_or_fractions(tmp_path, array):
    np.save(tmp_path / "shirt.npy", array)
    np.testing.assert_array_equal(read_image(tmp_path / "shirt.npy"), PIXELS)


def test_other_sizes_need_resize(tmp_path):
    large = np.kron(PIXELS // 64 * 64, np.ones((3, 3), np.uint8))
    Image.fromarray(large).save(tmp_path / "large.png")
    message = r"28 x 28 pixels, but .*large\.png has 84 x 84\. Use .*`--resize`"
    with pytest.raises(InputError, match=message):
        read_image(tmp_path / "large.png")
    resized = read_image(tmp_path / "large.png", resize=True)
    assert resized.shape == (28, 28)
    blocks = large.reshape(28, 3, 28, 3).mean((1, 3))
    assert np.corrcoef(resized.ravel(), blocks.ravel())[0, 1] > 0.95


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.png", None, r"missing\.png is not there"),
        ("text.png", b"hello", "intact PNG, JPEG or .npy file, but .*cannot be read"),
        ("shirt.gif", encoded(Image.fromarray(PIXELS), "GIF"), "cannot be read"),
        ("empty.npy", b"", "cannot be read"),
    ],
)
def test_unreadable_files(tmp_path, name, content, message):
    if content is not None:
        write(tmp_path / name, content)
    with pytest.raises(InputError, match=message):
        read_image(tmp_path / name)


def test_a_folder_is_no_image(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        read_image(tmp_path)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((28, 28, 4)), r"shape \(rows, columns\).*one grey image"),
        (np.zeros((0, 28)), "has 0 x 28"),
        (np.full((28, 28), 2.0), r"floats in \[0, 1\].*float64 from 2.0 to 2.0"),
        (np.full((28, 28), 300), "whole numbers from 0 to 255.*from 300 to 300"),
    ],
)
def test_npy_with_wrong_values(tmp_path, array, message):
    np.save(tmp_path / "image.npy", array)
    with pytest.raises(InputError, match=message):
        read_image(tmp_path / "image.npy", resize=True)


def test_pickled_npy_is_not_executed(tmp_path):
    np.save(tmp_path / "image.npy", np.array([[print]]), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read"):
        read_image(tmp_path / "image.npy")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), kind=st.sampled_from(["png", "jpg", "npy"]))
def test_damaged_bytes_end_in_an_image_or_an_input_error(tmp_path, data, kind):
    np.save(tmp_path / "whole.npy", PIXELS)
    npy = (tmp_path / "whole.npy").read_bytes()
    content = bytearray({"png": PNG, "jpg": JPEG, "npy": npy}[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, min(len(content), 300) - 1))
        content[at] = data.draw(st.integers(0, 255))
    path = write(tmp_path / f"damaged.{kind}", bytes(content))
    try:
        image = read_image(path, resize=True)
    except InputError:
        return
    assert (image.dtype, image.shape) == (np.uint8, (28, 28))


@pytest.mark.parametrize("kind", ["png", "jpg", "npy"])
def test_truncated_files_are_refused(tmp_path, kind):
    np.save(tmp_path / "whole.npy", PIXELS)
    npy = (tmp_path / "whole.npy").read_bytes()
    content = {"png": PNG, "jpg": JPEG, "npy": npy}[kind]
    path = write(tmp_path / f"cut.{kind}", content[: len(content) // 2])
    with pytest.raises(InputError, match="cannot be read"):
        read_image(path)
