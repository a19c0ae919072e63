"""The published data sets: search order, checksums, mirrors, interrupted downloads."""

import dataclasses
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from data_files import NAMES, checksums, four_arrays, write_idx_folder

from qfm_jax._checks import InputError
from qfm_jax.data import archive, load_dataset

DEAD_MIRROR = "http://127.0.0.1:9/"  # discard port: nobody answers


def arrays(seed):
    """So many images that half a file fills more than one piece of a download."""
    return four_arrays(n_train=240, seed=seed)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Stands in for both published sets; no mirror answers, the cache is empty."""
    for name, seed in (("fashion-mnist", 1), ("mnist", 2)):
        folder = write_idx_folder(tmp_path / "official" / name, arrays(seed))
        stand_in = dataclasses.replace(
            archive.ARCHIVES[name],
            sha256=checksums(folder),
            mirrors=(DEAD_MIRROR + "one/", DEAD_MIRROR + "two/"),
        )
        monkeypatch.setitem(archive.ARCHIVES, name, stand_in)
    monkeypatch.delenv("QFM_DATA_DIR", raising=False)
    monkeypatch.setenv("QFM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "official"


@pytest.fixture
def server():
    """Serves `server.content[path]`, half of it where the path is in `server.cut`.

    The connection then ends once `server.go_on` is set, as it is from the start.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.requests.append(self.path)
            content = self.server.content.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            half = self.path in self.server.cut
            self.wfile.write((content or b"")[: len(content) // 2 if half else None])
            if half:
                self.server.go_on.wait(30)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.content, server.cut, server.requests = {}, set(), []
        server.go_on = threading.Event()
        server.go_on.set()
        server.address = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def serve(server, folder, mirror="good"):
    for name in NAMES:
        content = (folder / f"{name}.gz").read_bytes()
        server.content[f"/{mirror}/{name}.gz"] = content


def set_mirrors(monkeypatch, *mirrors):
    stand_in = archive.ARCHIVES["fashion-mnist"]
    stand_in = dataclasses.replace(stand_in, mirrors=mirrors)
    monkeypatch.setitem(archive.ARCHIVES, "fashion-mnist", stand_in)


def cached(tmp_path):
    folder = tmp_path / "cache" / "fashion-mnist"
    return sorted(path.name for path in folder.glob("*"))


def assert_is(dataset, seed):
    expected = arrays(seed)[NAMES[2]]
    np.testing.assert_array_equal(dataset.test.pixels, expected)


COMPLETE = sorted(f"{name}.gz" for name in NAMES)


def test_published_checksums_tell_eight_files_apart():
    sums = [digest for entry in archive.ARCHIVES.values() for digest in entry.sha256]
    assert len({bytes.fromhex(digest) for digest in sums}) == 8
    assert {len(digest) for digest in sums} == {64}


@pytest.mark.parametrize("below", [True, False])
@pytest.mark.parametrize("name", ["auto", "fashion-mnist"])
def test_data_dir_holds_the_files_or_a_folder_of_that_name(
    files, monkeypatch, name, below
):
    folder = files / "fashion-mnist"
    monkeypatch.setenv("QFM_DATA_DIR", str(files if below else folder))
    dataset = load_dataset(name)
    assert_is(dataset, seed=1)
    assert dataset.class_names[9] == "Ankle boot"
    found = dataset.name, dataset.source, dataset.warning
    assert found == ("fashion-mnist", str(folder), None)


def test_folder_comes_before_data_dir(files, monkeypatch):
    monkeypatch.setenv("QFM_DATA_DIR", str(files / "fashion-mnist"))
    assert_is(load_dataset("mnist", folder=files / "mnist"), seed=2)


def test_a_folder_without_a_name_is_recognised(files):
    dataset = load_dataset(folder=files / "mnist")
    assert_is(dataset, seed=2)
    assert dataset.name == "mnist"


def test_one_data_set_is_never_taken_for_another(files, monkeypatch):
    message = r"official files of mnist.*mislabelled or corrupt: expected sha256 \w{64}"
    message += r", got \w{64} \(that of fashion-mnist\)"
    with pytest.raises(InputError, match=message):
        load_dataset("mnist", folder=files / "fashion-mnist")
    monkeypatch.setenv("QFM_DATA_DIR", str(files / "fashion-mnist"))
    with pytest.raises(InputError, match=message):
        load_dataset("mnist")


@pytest.mark.parametrize("name", NAMES)
def test_any_changed_file_is_refused(files, name):
    path = files / "fashion-mnist" / f"{name}.gz"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(InputError, match=f"{name}.gz is mislabelled or corrupt"):
        load_dataset("fashion-mnist", folder=path.parent)


def test_missing_files_are_named(files, monkeypatch):
    (files / "fashion-mnist" / f"{NAMES[3]}.gz").unlink()
    monkeypatch.setenv("QFM_DATA_DIR", str(files))
    with pytest.raises(InputError, match=f"fashion-mnist lacks {NAMES[3]}.gz"):
        load_dataset("fashion-mnist")


def test_without_files_and_network_the_error_says_what_was_tried(files, tmp_path):
    with pytest.raises(InputError) as caught:
        load_dataset("fashion-mnist")
    message = str(caught.value)
    cache = tmp_path / "cache" / "fashion-mnist"
    for part in ("QFM_DATA_DIR (not set)", str(cache), "/one/ (Conn", "/two/ (Conn"):
        assert part in message
    assert "into a folder and name it in QFM_DATA_DIR, or choose" in message
    assert not [*cache.glob("*")]


def test_auto_falls_back_to_digits_and_says_so(files):
    with pytest.warns(UserWarning, match="Put .* into a folder") as seen:
        dataset = load_dataset()
    assert seen[0].filename == __file__
    assert (dataset.name, len(dataset.test)) == ("digits", 360)
    assert dataset.warning.startswith("Fashion-MNIST was neither found")
    assert str(seen[0].message).startswith(dataset.warning)


def test_auto_does_not_ask_again_at_once_where_there_was_nothing(
    files, monkeypatch, server
):
    set_mirrors(monkeypatch, server.address + "nothing/")
    monkeypatch.setattr("qfm_jax.data.dataset._unavailable", {})
    for _ in range(3):
        with pytest.warns(UserWarning, match="no mirror delivers it"):
            assert load_dataset().name == "digits"
    assert len(server.requests) == 1
    with pytest.raises(InputError, match="no mirror delivers it"):
        load_dataset("fashion-mnist")  # asked for by name: it is sought again
    assert len(server.requests) == 2


def test_auto_does_not_hide_corrupt_files(files, monkeypatch):
    path = files / "fashion-mnist" / f"{NAMES[0]}.gz"
    path.write_bytes(b"")
    monkeypatch.setenv("QFM_DATA_DIR", str(files))
    with pytest.raises(InputError, match="mislabelled or corrupt"):
        load_dataset("auto")


def test_download_fills_the_cache_once_and_shows_progress(
    files, tmp_path, monkeypatch, server, capsys
):
    serve(server, files / "fashion-mnist")
    set_mirrors(monkeypatch, server.address + "good/", DEAD_MIRROR)
    first = load_dataset("fashion-mnist")
    assert_is(first, seed=1)
    assert first.source == str(tmp_path / "cache" / "fashion-mnist")
    assert cached(tmp_path) == COMPLETE
    assert NAMES[0] in capsys.readouterr().err
    assert_is(load_dataset("auto"), seed=1)
    assert len(server.requests) == 4


def test_second_mirror_steps_in_where_the_first_fails(
    files, tmp_path, monkeypatch, server
):
    serve(server, files / "fashion-mnist")
    serve(server, files / "fashion-mnist", mirror="half")
    del server.content[f"/half/{NAMES[2]}.gz"]  # two files, then 404
    mirrors = [DEAD_MIRROR, server.address + "half/", server.address + "good/"]
    set_mirrors(monkeypatch, *mirrors)
    assert_is(load_dataset("fashion-mnist"), seed=1)
    assert cached(tmp_path) == COMPLETE
    asked = [path.split("/")[1] for path in server.requests]
    assert asked == ["half"] * 3 + ["good"] * 2


def test_corrupt_mirror_leaves_nothing_behind(files, tmp_path, monkeypatch, server):
    serve(server, files / "mnist")  # under the names of Fashion-MNIST
    set_mirrors(monkeypatch, server.address + "good/")
    with pytest.raises(InputError, match=r"no mirror delivers it.*does not match"):
        load_dataset("fashion-mnist")
    assert cached(tmp_path) == []


def test_cut_connection_is_not_trusted_and_the_next_run_downloads(
    files, tmp_path, monkeypatch, server
):
    serve(server, files / "fashion-mnist")
    server.cut = {f"/good/{NAMES[2]}.gz"}
    set_mirrors(monkeypatch, server.address + "good/")
    with pytest.raises(
        InputError, match=r"no mirror delivers it.*[Cc]onnection broken"
    ):
        load_dataset("fashion-mnist")
    assert cached(tmp_path) == sorted(f"{name}.gz" for name in NAMES[:2])
    server.cut = set()
    assert_is(load_dataset("fashion-mnist"), seed=1)
    assert len(server.requests) == 3 + 2


def test_killed_download_leaves_nothing_that_is_read(
    files, tmp_path, monkeypatch, server
):
    serve(server, files / "fashion-mnist")
    set_mirrors(monkeypatch, server.address + "good/")
    server.cut = {f"/good/{NAMES[0]}.gz"}
    server.go_on.clear()
    arguments = archive.ARCHIVES["fashion-mnist"].sha256, server.address + "good/"
    code = f"""if True:
        from qfm_jax.data import archive
        sums, mirror = {arguments}
        archive._fill_cache("fashion-mnist", archive.Archive((), sums, (mirror,)))
    """
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        folder = tmp_path / "cache" / "fashion-mnist"
        while not any(path.stat().st_size for path in folder.glob("*")):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    server.cut = set()
    server.go_on.set()
    left = cached(tmp_path)
    assert len(left) == 1  # half a file,
    assert left[0] not in COMPLETE  # under a name that nobody asks for
    assert_is(load_dataset("fashion-mnist"), seed=1)


def test_damaged_cache_is_replaced(files, tmp_path, monkeypatch, server):
    serve(server, files / "fashion-mnist")
    set_mirrors(monkeypatch, server.address + "good/")
    load_dataset("fashion-mnist")
    path = tmp_path / "cache" / "fashion-mnist" / f"{NAMES[1]}.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    assert_is(load_dataset("fashion-mnist"), seed=1)
    assert path.read_bytes() == whole
    assert len(server.requests) == 5


def test_cache_that_cannot_be_written(files, tmp_path, monkeypatch, server):
    serve(server, files / "fashion-mnist")
    set_mirrors(monkeypatch, server.address + "good/")
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(InputError, match=r"no mirror delivers it.*Error"):
        load_dataset("fashion-mnist")
