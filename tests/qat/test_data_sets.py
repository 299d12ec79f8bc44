"""Data sets in the layouts that they are published in, whole, damaged and hostile."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from pact_hw.errors import InputError
from pact_hw.qat.data import load
from pact_hw.qat.data.plain_pickle import load_plain_pickle

NAMES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


def random_images(count, seed, size=32):
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (count, 3, size, size), dtype=np.uint8)
    return pixels, random.integers(0, 10, count).astype(np.uint8)


def write_cifar10(data, *, python=False, count=4, first=0):
    """Both layouts hold the same images; ``first`` is the first file's seed."""
    folder = data / ("cifar-10-batches-py" if python else "cifar-10-batches-bin")
    folder.mkdir(parents=True)
    for seed, name in enumerate(NAMES, first):
        pixels, labels = random_images(count, seed)
        rows = pixels.reshape(count, -1)
        if python:
            entries = {
                b"data": rows,
                b"labels": labels.tolist(),
                b"batch_label": b"x",
                b"filenames": [b"a.png"],
            }
            (folder / name).write_bytes(pickle.dumps(entries, protocol=2))
        else:
            np.concatenate([labels[:, None], rows], axis=1).tofile(folder / f"{name}.bin")
    return folder


@pytest.mark.parametrize("python", [False, True])
def test_cifar10(python, tmp_path):
    folder = write_cifar10(tmp_path, python=python)
    for data in (tmp_path, folder):
        training, test = load("cifar10", data, size=32)
        assert (len(training), len(test)) == (20, 4)
        pixels, labels = random_images(4, 2)
        third = training.batch(np.array([11, 8]))
        assert np.array_equal(third.levels, pixels[[3, 0]])
        assert third.labels.tolist() == labels[[3, 0]].tolist()
        assert np.array_equal(test.batch(np.arange(4)).levels, random_images(4, 5)[0])


def test_cifar10s_colours_and_rows(tmp_path):
    """A record is the label, then 1,024 red, green and blue pixels, row by row."""
    folder = write_cifar10(tmp_path)
    record = np.zeros(3073, dtype=np.uint8)
    record[0], record[1 + 1024 + 32 * 5 + 7] = 3, 200
    record.tofile(folder / "test_batch.bin")
    image = load("cifar10", tmp_path, size=32)[1].batch(np.array([0]))
    assert image.labels.tolist() == [3]
    assert np.argwhere(image.levels).tolist() == [[0, 1, 5, 7]]


def test_python_2_pickles_are_read(tmp_path):
    """The official files are of Python 2: byte strings as text, and numpy's old module name."""
    folder = write_cifar10(tmp_path, python=True)
    text = (folder / "test_batch").read_bytes()
    assert b"numpy._core.multiarray" in text
    (folder / "test_batch").write_bytes(text.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert len(load("cifar10", tmp_path, size=32)[1]) == 4


class Bomb:
    """Unpickling it fails the test."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


@pytest.mark.parametrize("hidden", [Bomb(), {b"data": Bomb()}, [np.zeros(2), Bomb()], eval, np.save])
def test_a_pickle_is_not_executed(hidden, tmp_path):
    path = tmp_path / "test_batch"
    path.write_bytes(pickle.dumps(hidden))
    with pytest.raises(InputError, match=r"test_batch: names \S+, which is no plain data$"):
        load_plain_pickle(path)


def test_object_arrays_carry_no_code_either(tmp_path):
    path = tmp_path / "test_batch"
    path.write_bytes(pickle.dumps(np.array([Bomb()], dtype=object)))
    with pytest.raises(InputError, match="which is no plain data"):
        load_plain_pickle(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"0 bytes are no whole number of records of 3073 bytes"),
        (bytes(3072), r"3072 bytes are no whole number"),
        (b"\x0a" + bytes(3072), r"labels must be from 0 to 9"),
    ],
)
def test_damaged_records_are_refused(content, message, tmp_path):
    (write_cifar10(tmp_path) / "data_batch_3.bin").write_bytes(content)
    with pytest.raises(InputError, match=rf"data_batch_3.bin: {message}"):
        load("cifar10", tmp_path, size=32)


@pytest.mark.parametrize(
    "content", [b"", b"\x80", pickle.dumps(3), pickle.dumps({b"data": 1, b"labels": [1]})]
)
def test_damaged_pickles_are_refused_in_one_line(content, tmp_path):
    (write_cifar10(tmp_path, python=True) / "test_batch").write_bytes(content)
    with pytest.raises(InputError, match=r"^[^\n]*test_batch: [^\n]+$"):
        load("cifar10", tmp_path, size=32)


def write_svhn(data, *, labels=(1, 10, 3)):
    folder = data / "svhn"
    folder.mkdir(exist_ok=True)
    pixels = random_images(3, 0)[0]
    for name in ("train_32x32.mat", "test_32x32.mat"):
        savemat(folder / name, {"X": pixels.transpose(2, 3, 1, 0), "y": np.array(labels)[:, None]})
    return pixels


def test_svhn(tmp_path):
    pixels = write_svhn(tmp_path)
    training, test = load("svhn", tmp_path, size=32)
    assert np.array_equal(training.batch(np.arange(3)).levels, pixels)
    assert test.batch(np.arange(3)).labels.tolist() == [1, 0, 3]  # 10 is the digit 0
    larger = load("svhn", tmp_path, size=40)[0].batch(np.arange(2)).levels
    assert larger.shape == (2, 3, 40, 40)
    expected = Image.fromarray(pixels[1, 2]).resize((40, 40), Image.Resampling.BILINEAR)
    assert np.array_equal(larger[1, 2], np.asarray(expected))


def test_svhns_labels_are_checked(tmp_path):
    write_svhn(tmp_path, labels=(1, 2, 11))
    with pytest.raises(InputError, match=r"train_32x32.mat: y must be 3 labels from 1 to 10$"):
        load("svhn", tmp_path, size=40)


def write_imagenet(data, classes=("n01", "n02")):
    for part in ("train", "val"):
        for number, name in enumerate(classes):
            folder = data / "imagenet" / part / name
            folder.mkdir(parents=True)
            for index in range(2):
                colour = (100 * number, 50, 100 * index)
                Image.new("RGB", (320, 260), colour).save(folder / f"{index}.png")
    return data


def test_imagenet(tmp_path):
    training, validation = load("imagenet", write_imagenet(tmp_path), size=224)
    assert (len(training), len(validation)) == (4, 4)
    batch = training.batch(np.array([3, 0]))
    assert batch.levels.shape == (2, 3, 224, 224)
    assert batch.labels.tolist() == [1, 0]
    assert batch.levels[:, :, 100, 100].tolist() == [[100, 50, 100], [0, 50, 0]]


def test_imagenets_middle_is_cut_out(tmp_path):
    write_imagenet(tmp_path)
    pixels = np.zeros((256, 256, 3), dtype=np.uint8)
    pixels[16:240, 16:240] = 255
    Image.fromarray(pixels).save(tmp_path / "imagenet" / "val" / "n01" / "0.png")
    image = load("imagenet", tmp_path, size=224)[1].batch(np.array([0])).levels
    assert (image == 255).all()


def test_imagenets_broken_files_and_unknown_classes_are_named(tmp_path):
    write_imagenet(tmp_path)
    path = tmp_path / "imagenet" / "train" / "n01" / "0.png"
    path.write_bytes(b"no image")
    with pytest.raises(InputError, match=r"^[^\n]*n01/0.png: cannot be read: [^\n]+$"):
        load("imagenet", tmp_path, size=224)[0].batch(np.array([0]))
    (tmp_path / "imagenet" / "val" / "n03").mkdir()
    Image.new("RGB", (300, 300)).save(tmp_path / "imagenet" / "val" / "n03" / "0.png")
    with pytest.raises(InputError, match=r"val: class 'n03' has no folder among the training images$"):
        load("imagenet", tmp_path, size=224)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("cifar10", "CIFAR-10 is not here: data_batch_1.bin, .*, test_batch.bin belong in "),
        ("svhn", "SVHN (cropped digits) is not here: train_32x32.mat, test_32x32.mat belong in "),
        ("imagenet", "ImageNet is not here: image files belong in "),
    ],
)
def test_what_is_missing_is_said_in_one_line(name, wanted, tmp_path):
    pattern = re.escape(wanted).replace(r"\.\*", ".*")
    with pytest.raises(InputError, match=rf"^{re.escape(str(tmp_path))}: {pattern}[^\n]+$"):
        load(name, tmp_path, size=32)
    with pytest.raises(InputError, match=rf"^data set '{name}' is read from a folder: say which with --data"):
        load(name, None, size=32)
