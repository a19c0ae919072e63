"""Images of any size and colour: folders of pictures, archives, arrays, sequences."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from qfm_jax._checks import InputError
from qfm_jax.data import Images, images_of, load_dataset, read_image

RNG = np.random.default_rng(3)


def noise(*shape):
    return RNG.integers(0, 256, shape).astype(np.uint8)


def write_folder(folder, classes, shape=(9, 12, 3), n=6, suffix="png"):
    """A folder of pictures for each class; returns their pixels by class and file."""
    written = {}
    for name in classes:
        (folder / name).mkdir(parents=True)
        for i in range(n):
            pixels = noise(*shape)
            Image.fromarray(pixels).save(folder / name / f"{i}.{suffix}")
            written[name, i] = pixels
    return written


def rows_of(images):
    return {pixels.tobytes() for pixels in images.pixels}


@pytest.mark.parametrize("shape", [(9, 12, 3), (12, 8)])
def test_a_folder_of_pictures(tmp_path, shape):
    written = write_folder(tmp_path / "zoo", ["cat", "ant", "bee"], shape, n=10)
    (tmp_path / "zoo" / ".cache").mkdir()
    (tmp_path / "zoo" / "cat" / ".DS_Store").write_text("")
    data = load_dataset(tmp_path / "zoo")
    assert data.class_names == ("ant", "bee", "cat")
    assert (data.name, data.image_shape) == ("zoo", shape)
    parts = data.train, data.validation, data.test
    assert [len(part) for part in parts] == [22, 2, 6]
    for name, number in zip(data.class_names, range(3), strict=True):
        own = {
            pixels.tobytes() for (kind, _), pixels in written.items() if kind == name
        }
        found = [
            rows_of(part.take(np.flatnonzero(part.labels == number))) for part in parts
        ]
        assert set.union(*found) == own
        assert sum(map(len, found)) == 10
    other = load_dataset(str(tmp_path / "zoo"), seed=1)
    assert rows_of(other.test) == rows_of(data.test)
    assert rows_of(other.validation) != rows_of(data.validation)


def test_a_folder_that_is_split_already(tmp_path):
    written = {
        part: write_folder(tmp_path / part, ["a", "b"], n=n)
        for part, n in (("train", 5), ("val", 2), ("test", 3))
    }
    for seed in (0, 1):
        data = load_dataset(tmp_path, seed=seed)
        for part, name in (("train", "train"), ("val", "validation"), ("test", "test")):
            expected = {pixels.tobytes() for pixels in written[part].values()}
            assert rows_of(getattr(data, name)) == expected


def picture(mode):
    """A picture in a mode, and what red, green and blue (or grey) it shows."""
    colours = noise(10, 8, 3)
    shown = colours
    if mode == "L":
        shown = colours[..., 0]
        return Image.fromarray(shown), shown
    if mode == "I;16":
        deep = RNG.integers(0, 65536, (10, 8)).astype(np.uint16)
        return Image.fromarray(deep), np.rint(deep / 257).astype(np.uint8)
    made = Image.fromarray(colours)
    if mode == "P":
        made = made.quantize(16)
        return made, np.asarray(made.convert("RGB"))
    if mode == "RGBA":
        alpha = noise(10, 8)
        made.putalpha(Image.fromarray(alpha))
        shown = np.rint(colours * (alpha[..., None] / 255)).astype(np.uint8)
        return made, shown
    if mode == "1":
        black = noise(10, 8) > 127
        return Image.fromarray(black), black.astype(np.uint8) * 255
    return made, shown


@pytest.mark.parametrize("mode", ["L", "I;16", "P", "RGBA", "RGB", "1"])
def test_modes_of_png(tmp_path, mode):
    for name in "ab":
        (tmp_path / name).mkdir()
        for i in range(4):
            made, shown = picture(mode)
            made.save(tmp_path / name / f"{i}.png")
            if shown.ndim == 2:
                read = read_image(tmp_path / name / f"{i}.png", shape=(10, 8))
                np.testing.assert_array_equal(read, shown)
            else:
                read = read_image(tmp_path / name / f"{i}.png", shape=(10, 8, 3))
                assert np.abs(read.astype(int) - shown).max() <= 1
    data = load_dataset(tmp_path)
    assert data.image_shape == ((10, 8) if mode in ("L", "I;16", "1") else (10, 8, 3))


def test_cmyk_and_turned_jpeg(tmp_path):
    red = Image.new("CMYK", (16, 8), (0, 255, 255, 0))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    for name in "ab":
        (tmp_path / name).mkdir()
        for i in range(3):
            red.save(tmp_path / name / f"{i}.jpeg", exif=exif)
    data = load_dataset(tmp_path)
    assert data.image_shape == (16, 8, 3)
    assert np.abs(data.train.pixels[0, 5, 5].astype(int) - [255, 0, 0]).max() <= 3


def test_one_picture_in_colour_makes_all_so(tmp_path):
    grey = write_folder(tmp_path, ["a", "b"], (8, 8), n=3)
    Image.fromarray(noise(8, 8, 3)).save(tmp_path / "b" / "last.png")
    data = load_dataset(tmp_path)
    assert data.image_shape == (8, 8, 3)
    found = rows_of(data.train) | rows_of(data.validation) | rows_of(data.test)
    for pixels in grey.values():
        assert np.repeat(pixels[..., None], 3, -1).tobytes() in found


def spoil(folder, how):
    if how == "one class":
        for path in (folder / "b").iterdir():
            path.unlink()
        (folder / "b").rmdir()
    if how == "empty class":
        (folder / "c").mkdir()
    if how == "sizes":
        Image.fromarray(noise(9, 13, 3)).save(folder / "b" / "large.png")
    if how == "no image":
        (folder / "b" / "notes.txt").write_text("mine")
    if how == "corrupt":
        content = (folder / "a" / "0.png").read_bytes()
        (folder / "a" / "0.png").write_bytes(content[:-30])
    if how == "small":
        for path in [*folder.glob("*/*.png")]:
            Image.fromarray(noise(5, 9, 3)).save(path)


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("one class", "folder of pictures for each of two classes or more.*'a'"),
        ("empty class", "pictures of every class, but .*c is empty"),
        ("sizes", r"one size.* 9 x 12 pixels, and .*large\.png 9 x 13.*Resize or crop"),
        ("no image", "PNG and JPEG files alone.*notes.txt"),
        ("corrupt", r"intact PNG and JPEG files, but .*a.0\.png cannot be read"),
        ("small", "at least 8 pixels high and wide, but has 5 x 9"),
    ],
)
def test_folders_that_are_refused(tmp_path, how, sentence):
    write_folder(tmp_path, ["a", "b"], n=3)
    spoil(tmp_path, how)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(InputError, match=sentence):
        load_dataset(tmp_path)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}


def test_test_classes_that_were_not_trained(tmp_path):
    write_folder(tmp_path / "train", ["a", "b"], n=3)
    write_folder(tmp_path / "test", ["a", "b", "dog"], n=2)
    with pytest.raises(InputError, match=r"classes of its training images.*'dog' too"):
        load_dataset(tmp_path)


def test_an_archive_of_medmnist(tmp_path):
    sizes = {"train": 20, "val": 6, "test": 8}
    arrays = {}
    for part, n in sizes.items():
        arrays[f"{part}_images"] = noise(n, 28, 28, 3)
        arrays[f"{part}_labels"] = (np.arange(n) % 2)[:, None]
    np.savez(tmp_path / "med.npz", **arrays)
    data = load_dataset(tmp_path / "med.npz")
    np.testing.assert_array_equal(data.train.pixels, arrays["train_images"])
    np.testing.assert_array_equal(data.validation.pixels, arrays["val_images"])
    np.testing.assert_array_equal(data.test.labels, arrays["test_labels"][:, 0])
    few = load_dataset(tmp_path / "med.npz", validation_size=2, train_size=4)
    assert (len(few.validation), len(few.train)) == (2, 4)


def test_an_archive_with_a_validation_part(tmp_path):
    parts = {"train": 12, "val": 4, "test": 4}
    arrays = {f"x_{part}": noise(n, 8, 8) for part, n in parts.items()}
    arrays |= {f"y_{part}": np.arange(n) % 2 for part, n in parts.items()}
    np.savez(tmp_path / "own.npz", **arrays)
    data = load_dataset(tmp_path)
    np.testing.assert_array_equal(data.validation.pixels, arrays["x_val"])


class OfTorch:
    """As torchvision's data sets are: tensors (channels, height, width) in [0, 1]."""

    classes = ("dark", "bright")

    def __init__(self, pixels):
        self.pixels = pixels

    def __len__(self):
        return len(self.pixels)

    def __getitem__(self, i):
        return np.moveaxis(self.pixels[i], -1, 0).astype(np.float32) / 255, i % 2


def test_sequences_of_images_and_labels():
    pixels = noise(24, 10, 9, 3)
    hugging = [
        {"image": Image.fromarray(p), "label": i % 2} for i, p in enumerate(pixels)
    ]
    pairs = [(p, np.int64(i % 2)) for i, p in enumerate(pixels)]
    for train in (OfTorch(pixels), hugging, pairs, (pixels, np.arange(24) % 2)):
        data = load_dataset({"train": train, "test": train})
        np.testing.assert_array_equal(data.test.pixels, pixels)
        np.testing.assert_array_equal(data.test.labels, np.arange(24) % 2)
    assert load_dataset(OfTorch(pixels)).class_names == ("dark", "bright")
    assert len(load_dataset(OfTorch(pixels)).test) == 4


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([(noise(8, 8), 0.5)] * 4, "`labels of train` must be whole numbers.*0.5"),
        ([(noise(8, 8), 0), (noise(8, 9), 1)], "`images of train` must have one size"),
        ([(noise(8, 8),)] * 4, r"pairs \(image, label\)"),
        ([], "hold at least one image"),
        ({"test": []}, "have the part 'train'"),
        ({"training": []}, "'training'"),
        ((noise(4, 8, 8), np.zeros(4, int)), "two classes or more"),
        ((noise(4, 8, 8, 5), np.arange(4)), r"or \(n, height, width, 3\), but has"),
    ],
)
def test_what_is_no_data_set(given, sentence):
    with pytest.raises(InputError, match=sentence):
        load_dataset(given)


def test_values_are_numbers_and_pixels_bytes():
    images = images_of(RNG.uniform(size=(5, 8, 9)), np.arange(5))
    assert images.pixels.dtype == np.uint8
    assert images.values.dtype == np.float32
    np.testing.assert_array_equal(images.values, images.pixels / np.float32(255))
    with pytest.raises(AttributeError, match=r"`.values` are float32"):
        _ = images.images
    assert not hasattr(images, "images")


def test_what_a_data_set_says_of_itself():
    data = load_dataset((noise(40, 8, 9), np.arange(40) % 20))
    lines = str(data).splitlines()
    assert lines[0] == "arrays: 8 x 9 pixels, grey, 20 classes"
    assert lines[2].split() == ["all", "30", "2", "8"]
    assert lines[-1] == "..."
    assert len(lines) == 3 + 12


def test_classes_of_data_with_their_own_validation_part():
    parts = {"train": 30, "validation": 9, "test": 12}
    given = {part: (noise(n, 8, 8), np.arange(n) % 3) for part, n in parts.items()}
    data = load_dataset(given, classes=("2", "0"))
    assert [len(p) for p in (data.train, data.validation, data.test)] == [20, 6, 8]
    first = data.validation.pixels[data.validation.labels == 0]
    np.testing.assert_array_equal(first, given["validation"][0][2::3])


def test_floats_that_are_no_shares_name_the_cure():
    with pytest.raises(InputError, match=r"floats in .* Rescale"):
        images_of(np.full((2, 8, 8), 3.0), [0, 1])
    with pytest.raises(InputError, match="`images_of` makes them"):
        Images(np.zeros((2, 8, 8)), np.zeros(2, np.int32))


def test_a_folder_beside_images_in_memory():
    given = SimpleNamespace(x=(noise(4, 8, 8), np.arange(4) % 2))
    with pytest.raises(InputError, match="`folder` must be left out for images"):
        load_dataset(given.x, folder=".")
