"""Checkpoints come back bit for bit, and only where they belong."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from qfm_jax._checks import InputError
from qfm_jax.training import TrainConfig, description_of
from qfm_jax.training import checkpoints as module
from qfm_jax.training.checkpoints import Checkpoints

DESCRIPTION = {"training": {"epochs": 3, "sizes": (1, 2)}, "weights": {"kernel": [3]}}


def state(scale=1.0):
    """All kinds of leaves that a training state has."""
    model = nnx.BatchNorm(4, rngs=nnx.Rngs(0))
    return {
        "params": nnx.state(model),
        "tuple": (jnp.arange(3) / 7 * scale, (jnp.int32(5),)),
        "key": jax.random.fold_in(jax.random.key(3), 1),
    }


def raw(tree):
    keys_as_data = jax.tree.map(
        lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
        else x,
        tree,
    )  # fmt: skip
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(keys_as_data)]


@pytest.fixture
def folder(tmp_path):
    """A folder with a last and a best checkpoint."""
    checkpoints = Checkpoints(tmp_path, DESCRIPTION)
    checkpoints.save("best", 10, state(scale=2.0))
    checkpoints.save("last", 20, state())
    return tmp_path


def contents(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_state_comes_back_bit_for_bit(folder):
    empty = jax.tree.map(lambda leaf: leaf, state(scale=0.0))
    checkpoints = Checkpoints(folder, DESCRIPTION)
    last, best = checkpoints.restore("last", empty), checkpoints.restore("best", empty)
    assert raw(last) == raw(state()) != raw(best) == raw(state(scale=2.0))
    assert jax.tree.structure(last) == jax.tree.structure(state())


def test_what_a_killed_save_left_behind_is_removed(folder):
    checkpoints = Checkpoints(folder, DESCRIPTION)
    shutil.copytree(folder / "last" / "20", folder / "last" / "15")
    (folder / "last" / "23.orbax-checkpoint-tmp").mkdir()
    before = contents(folder / "last" / "20")
    for name in ("last", "best", "none"):
        checkpoints.keep_latest(name)
    assert [path.name for path in (folder / "last").iterdir()] == ["20"]
    assert [path.name for path in (folder / "best").iterdir()] == ["10"]
    assert contents(folder / "last" / "20") == before
    assert not (folder / "none").exists()


def test_a_new_checkpoint_replaces_the_one_before(folder):
    checkpoints = Checkpoints(folder, DESCRIPTION)
    checkpoints.save("last", 30, state(scale=3.0))
    assert checkpoints.latest("last") == folder / "last" / "30"
    assert [path.name for path in (folder / "last").iterdir()] == ["30"]
    assert raw(checkpoints.restore("last", state())) == raw(state(scale=3.0))


def test_a_step_that_comes_again_after_a_resume_is_kept(folder):
    before = contents(folder / "best")
    Checkpoints(folder, DESCRIPTION).save("best", 10, state(scale=2.0))
    assert contents(folder / "best") == before


@pytest.mark.parametrize("name", ["last", "best"])
def test_none(tmp_path, name):
    checkpoints = Checkpoints(tmp_path / "nowhere", DESCRIPTION)
    assert checkpoints.latest(name) is None
    with pytest.raises(InputError, match=f"holds no {name} checkpoint. Name a run"):
        checkpoints.restore(name, state())
    assert not (tmp_path / "nowhere").exists()


def test_a_write_that_was_cut_off_leaves_the_one_before(folder):
    unfinished = folder / "last" / "30.orbax-checkpoint-tmp"
    shutil.copytree(folder / "last" / "20", unfinished)
    shutil.rmtree(unfinished / "description")
    checkpoints = Checkpoints(folder, DESCRIPTION)
    assert checkpoints.latest("last") == folder / "last" / "20"
    assert raw(checkpoints.restore("last", state())) == raw(state())


def test_a_first_write_that_was_cut_off_is_none(tmp_path):
    (tmp_path / "last" / "1.orbax-checkpoint-tmp").mkdir(parents=True)
    checkpoints = Checkpoints(tmp_path, DESCRIPTION)
    assert checkpoints.latest("last") is None
    with pytest.raises(InputError, match="holds no last checkpoint"):
        checkpoints.restore("last", state())


@pytest.mark.parametrize(
    ("entry", "value", "sentence"),
    [
        (
            "training",
            {"epochs": 4, "sizes": [1, 2]},
            r"training is .*3.* there and .*4",
        ),
        ("weights", {"kernel": [4]}, r"weights is .*\[3\].* there and .*\[4\].* here"),
        ("new", 1, r"new is None there and 1 here"),
    ],
)
def test_other_model_or_configuration(folder, entry, value, sentence):
    before = contents(folder)
    other = Checkpoints(folder, DESCRIPTION | {entry: value})
    with pytest.raises(InputError, match=f"belongs to another model.*{sentence}"):
        other.restore("last", state())
    assert contents(folder) == before


def test_a_checkpoint_older_than_a_choice_stands_for_its_default(folder):
    training = DESCRIPTION["training"] | {"augment": False}
    defaults = {"training": training}
    newer = Checkpoints(folder, DESCRIPTION | {"training": training}, defaults)
    assert raw(newer.restore("last", state())) == raw(state())
    chosen = DESCRIPTION | {"training": training | {"augment": True}}
    with pytest.raises(InputError, match=r"'augment': False.* there and .*True.* here"):
        Checkpoints(folder, chosen, defaults).restore("last", state())


def test_other_format(folder, monkeypatch):
    monkeypatch.setattr(module, "CHECKPOINT_FORMAT", 99)
    with pytest.raises(InputError, match=r"format is 1 there and 99 here. Resume with"):
        Checkpoints(folder, DESCRIPTION).restore("last", state())


@pytest.fixture
def one_array(tmp_path):
    """Where one read fails, Orbax leaves those of other arrays to a closed loop."""
    checkpoints = Checkpoints(tmp_path, DESCRIPTION)
    checkpoints.save("last", 20, {"weights": jnp.arange(1000.0)})
    return checkpoints


def test_weights_of_another_shape_or_kind_under_the_same_description(one_array):
    sentence = r"last/20 cannot be read: its \['weights'\] is float32\(1000,\) and "
    with pytest.raises(InputError, match=rf"{sentence}float32\(5,\) here. .* new run"):
        one_array.restore("last", {"weights": jnp.zeros(5)})
    with pytest.raises(InputError, match=rf"{sentence}int32\(1000,\) here. .* another"):
        one_array.restore("last", {"weights": jnp.zeros(1000, jnp.int32)})


@pytest.mark.parametrize("is_wide", [False, True])
def test_other_precisions_are_read_and_rounded(tmp_path, is_wide):
    checkpoints = Checkpoints(tmp_path, DESCRIPTION)
    key = jax.random.key(3)
    with jax.enable_x64(is_wide):
        written = {"x": jnp.arange(3) / 7, "n": jnp.arange(3), "key": key}
        checkpoints.save("last", 1, written)
    with jax.enable_x64(not is_wide):
        like = {"x": jnp.zeros(3), "n": jnp.zeros(3, int), "key": jax.random.key(0)}
        found = checkpoints.restore("last", like)
        assert [found[name].dtype for name in "xn"] == [like[n].dtype for n in "xn"]
        assert found["n"].tolist() == [0, 1, 2]
        np.testing.assert_allclose(found["x"], np.arange(3) / 7, rtol=1e-7)
    assert raw(found["key"]) == raw(key)


@pytest.mark.parametrize("damage", ["truncated", "removed"])
def test_damaged_file(one_array, tmp_path, damage):
    files = [path for path in (tmp_path / "last").rglob("d/*") if path.is_file()]
    assert files, "no array file was found"
    for path in files:
        if damage == "truncated":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        else:
            path.unlink()
    with pytest.raises(InputError, match=r"last/20 cannot be read: .* It is damaged"):
        one_array.restore("last", {"weights": jnp.zeros(1000)})


def test_arrays_that_are_not_those_that_were_written(one_array, monkeypatch):
    read = module.ocp.CheckpointManager.restore

    def changed(self, step, args):
        found = read(self, step, args=args)
        return found if "state" not in found else found | {"state": OTHER}

    OTHER = {"weights": jnp.arange(1000.0).at[7].set(7.5)}
    monkeypatch.setattr(module.ocp.CheckpointManager, "restore", changed)
    with pytest.raises(InputError, match="Its arrays are not those that were written"):
        one_array.restore("last", {"weights": jnp.zeros(1000)})


def test_a_full_disk_leaves_the_checkpoint_before(one_array, tmp_path, monkeypatch):
    def full(self, step, args):
        (tmp_path / "last" / "21.orbax-checkpoint-tmp").mkdir()
        raise ValueError("RESOURCE_EXHAUSTED: writing: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module.ocp.CheckpointManager, "save", full)
        with pytest.raises(
            OSError, match="last/21 cannot be written: No space left on"
        ):
            one_array.save("last", 21, {"weights": jnp.zeros(1000)})
    assert [path.name for path in (tmp_path / "last").iterdir()] == ["20"]
    found = one_array.restore("last", {"weights": jnp.zeros(1000)})
    assert found["weights"].tolist() == list(range(1000))


def test_what_was_the_readout_in_version_0_1_is_the_head(tmp_path):
    class Model(nnx.Module):
        def __init__(self, name):
            self.front = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
            setattr(self, name, nnx.Linear(3, 4, rngs=nnx.Rngs(1)))

    def described(model):
        return {"weights": description_of(model, TrainConfig(), 10, 5)["weights"]}

    old, new = Model("readout"), Model("head")
    Checkpoints(tmp_path, described(old)).save("last", 3, (nnx.state(old),))
    new.head.kernel[...] *= 0
    checkpoints = Checkpoints(tmp_path, described(new))
    (found,) = checkpoints.restore("last", (nnx.state(new),))
    nnx.update(new, found)
    np.testing.assert_array_equal(new.head.kernel[...], old.readout.kernel[...])
    np.testing.assert_array_equal(new.front.bias[...], old.front.bias[...])
