"""Files written by Pillow and OpenCV with known pixels, read back."""

from __future__ import annotations

import io
import os
import struct
import time
import zlib
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from handful.errors import InputError
from handful.images import decode, read, read_mask, size
from handful.images.tones import to_uint8

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (7, 11, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (7, 11), dtype=np.uint8)
GREY[0, 0] = 255

# Stored pixels seen from EXIF's table: where row 0 and column 0 lie in the upright picture.
STORED = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: np.transpose(a, (1, 0, 2)),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.transpose(np.rot90(a, 2), (1, 0, 2)),
    8: lambda a: np.rot90(a, -1),
}


def smooth(height: int, width: int) -> np.ndarray:
    """A picture that JPEG keeps nearly as it is."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 97 + y / 151), np.cos(x / 173), np.sin(y / 121)]
    return np.stack([(127 + 100 * wave).astype(np.uint8) for wave in waves], axis=2)


def says(match: str, path: Path, function=read) -> None:
    """The error is one line that names the file."""
    with pytest.raises(InputError, match=match) as caught:
        function(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp", "ppm", "PNG"])
def test_rgb_without_loss(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a picture.{suffix}"
    Image.fromarray(COLOUR).save(path, **({"lossless": True} if suffix == "webp" else {}))
    found = read(path)
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous
    assert found.flags.writeable
    np.testing.assert_array_equal(found, COLOUR)
    assert size(path) == (7, 11)


def test_opencv_writes_what_is_read(tmp_path: Path) -> None:
    for suffix in ("png", "bmp", "tiff"):
        cv2.imwrite(str(tmp_path / f"a.{suffix}"), COLOUR[..., ::-1])
        np.testing.assert_array_equal(read(tmp_path / f"a.{suffix}"), COLOUR)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "gif", "webp", "pgm"])
def test_grey(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"grey.{suffix}"
    Image.fromarray(GREY).save(path, **({"lossless": True} if suffix == "webp" else {}))
    np.testing.assert_array_equal(read(path), np.dstack([GREY] * 3))


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "pbm"])
def test_one_bit(tmp_path: Path, suffix: str) -> None:
    bits = GREY > 127
    Image.fromarray(bits).save(tmp_path / f"bits.{suffix}")
    expected = np.dstack([np.where(bits, 255, 0)] * 3)
    np.testing.assert_array_equal(read(tmp_path / f"bits.{suffix}"), expected)


def test_jpeg_is_near(tmp_path: Path) -> None:
    picture = smooth(64, 96)
    Image.fromarray(picture).save(tmp_path / "a.jpg", quality=98, subsampling=0)
    assert np.abs(read(tmp_path / "a.jpg").astype(int) - picture).max() <= 6


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_sixteen_bits_times_257_come_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"deep.{suffix}"
    cv2.imwrite(str(path), GREY.astype(np.uint16) * 257)
    np.testing.assert_array_equal(read(path), np.dstack([GREY] * 3))


def test_twelve_bits_in_sixteen_are_not_dark(tmp_path: Path) -> None:
    values = np.array([[0, 1000, 4095]], np.uint16)
    cv2.imwrite(str(tmp_path / "camera.png"), values)
    assert read(tmp_path / "camera.png")[0, :, 0].tolist() == [0, round(255 * 1000 / 4095), 255]


def test_sixteen_bit_colour(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "deep.png"), COLOUR[..., ::-1].astype(np.uint16) * 257)
    np.testing.assert_array_equal(read(tmp_path / "deep.png"), COLOUR)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0.0, 0.2, 1.0]], np.float32), [0, 51, 255]),
        (np.array([[0.0, 51.0, 255.0]], np.float32), [0, 51, 255]),
        (np.array([[-1.0, 0.0, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[np.nan, 0.2, np.inf, 1.0]], np.float32), [51, 51, 255, 255]),
        (np.array([[-100, 0, 100]], np.int32), [0, 128, 255]),
        (np.array([[0, 500_000, 1_000_000]], np.int32), [0, 128, 255]),
    ],
)
def test_greys_of_32_bits(tmp_path: Path, values: np.ndarray, expected: list[int]) -> None:
    Image.fromarray(values).save(tmp_path / "deep.tiff")
    assert read(tmp_path / "deep.tiff")[0, :, 1].tolist() == expected


@settings(deadline=None)
@given(hnp.arrays(np.uint16, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6)))
def test_scaling_keeps_the_order_of_greys(values: np.ndarray) -> None:
    scaled = to_uint8(values).astype(int).ravel()
    order = np.argsort(values.ravel(), kind="stable")
    assert (np.diff(scaled[order]) >= 0).all()
    if values.max() > 255:
        assert scaled.max() >= 63  # the depth is at most four times the brightest value
    assert to_uint8(np.zeros((2, 2), np.uint16)).max() == 0


def test_cmyk_tiff_and_jpeg(tmp_path: Path) -> None:
    inks = np.zeros((16, 16, 4), np.uint8)
    inks[:, :8] = (0, 255, 255, 0)  # magenta and yellow make red
    inks[:, 8:] = (0, 0, 0, 255)
    picture = Image.fromarray(inks, "CMYK")
    picture.save(tmp_path / "print.tiff")
    picture.save(tmp_path / "print.jpg", quality=95)
    for name in ("print.tiff", "print.jpg"):
        found = read(tmp_path / name).astype(int)
        assert np.abs(found[8, 3] - (255, 0, 0)).max() <= 3
        assert np.abs(found[8, 13] - (0, 0, 0)).max() <= 3


def test_ycck_jpeg(tmp_path: Path) -> None:
    """Adobe's YCCK; the marker APP14 alone tells it from CMYK."""
    # Adobe stores inks inverted, and its Y, Cb, Cr are those of the RGB complement of what is
    # stored: red, which is inks 0 255 255 0, becomes the Y, Cb, Cr of cyan, and K = 255.
    stored = np.zeros((16, 16, 4), np.uint8)
    stored[:] = (179, 171, 1, 255)
    raw = io.BytesIO()
    Image.fromarray(255 - stored, "CMYK").save(raw, "JPEG", quality=98)
    data = bytearray(raw.getvalue())
    marker = data.index(b"Adobe")
    assert data[marker + 11] == 0
    data[marker + 11] = 2
    (tmp_path / "ycck.jpg").write_bytes(bytes(data))
    found = read(tmp_path / "ycck.jpg").astype(int)
    assert np.abs(found - (255, 0, 0)).max() <= 4
    theirs = cv2.imread(str(tmp_path / "ycck.jpg"))[..., ::-1]
    assert np.abs(found - theirs).max() <= 4


@pytest.mark.parametrize("suffix", ["png", "tiff", "webp"])
def test_transparency_lies_on_white(tmp_path: Path, suffix: str) -> None:
    alpha = RNG.integers(0, 256, GREY.shape, dtype=np.uint8)
    alpha[0, 0], alpha[0, 1] = 0, 255
    lossless = {"lossless": True, "exact": True} if suffix == "webp" else {}
    Image.fromarray(np.dstack([COLOUR, alpha])).save(tmp_path / f"a.{suffix}", **lossless)
    share = alpha[..., None] / 255
    expected = share * COLOUR + (1 - share) * 255
    found = read(tmp_path / f"a.{suffix}")
    assert np.abs(found - expected).max() <= 1
    assert found[0, 0].tolist() == [255, 255, 255]
    np.testing.assert_array_equal(found[0, 1], COLOUR[0, 1])


def test_grey_with_alpha(tmp_path: Path) -> None:
    pair = np.array([[[0, 0], [0, 255], [0, 51]]], np.uint8)
    Image.fromarray(pair, "LA").save(tmp_path / "la.png")
    assert read(tmp_path / "la.png")[0, :, 0].tolist() == [255, 0, 204]


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_palette_with_a_transparent_entry(tmp_path: Path, suffix: str) -> None:
    picture = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    picture.save(tmp_path / f"opaque.{suffix}")
    picture.save(tmp_path / f"clear.{suffix}", transparency=1)
    red, green, blue, white = [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]
    assert read(tmp_path / f"opaque.{suffix}")[0].tolist() == [red, green, blue]
    assert read(tmp_path / f"clear.{suffix}")[0].tolist() == [red, white, blue]


def test_a_transparent_grey_level(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 9]], np.uint8)).save(tmp_path / "key.png", transparency=0)
    assert read(tmp_path / "key.png")[0, :, 0].tolist() == [255, 9]


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    for suffix in ("gif", "tiff", "webp"):
        frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:])
        assert np.abs(read(tmp_path / f"a.{suffix}")[2, 2].astype(int) - (255, 0, 0)).max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
def test_exif_rotation(tmp_path: Path, suffix: str, orientation: int) -> None:
    upright = smooth(24, 40)
    upright[:8, :8] = 255  # a corner that no symmetry keeps
    stored = np.ascontiguousarray(STORED[orientation](upright))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{suffix}"
    options = {"webp": {"lossless": True}, "jpg": {"quality": 98, "subsampling": 0}}
    Image.fromarray(stored).save(path, exif=exif, **options.get(suffix, {}))
    found = read(path)
    assert found.shape == upright.shape
    assert np.abs(found.astype(int) - upright).max() <= (12 if suffix == "jpg" else 0)
    assert size(path) == (24, 40)
    with Image.open(path) as picture:
        np.testing.assert_array_equal(read(picture), found)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_is_no_reason_to_refuse(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "a.png", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    np.testing.assert_array_equal(read(tmp_path / "a.png"), COLOUR)


def test_at_least_decodes_less_and_much_the_same(tmp_path: Path) -> None:
    picture = smooth(1000, 1500)
    path = tmp_path / "big.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture).save(path, quality=95, exif=exif)
    full = read(path)
    for at_least, expected in [(120, (188, 125)), (251, (750, 500)), (600, (1500, 1000))]:
        found = read(path, at_least=at_least)
        assert found.shape[:2] == expected
        assert min(found.shape[:2]) >= at_least
        truth = cv2.resize(full, expected[::-1], interpolation=cv2.INTER_AREA)
        assert np.abs(found.astype(int) - truth).mean() < 1.5
    Image.fromarray(picture[:40, :60]).save(tmp_path / "a.png")
    assert read(tmp_path / "a.png", at_least=5).shape == (40, 60, 3)


def test_at_least_takes_less_time(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    Image.fromarray(smooth(2080, 3000)).save(path)
    start = time.process_time()
    read(path)
    middle = time.process_time()
    assert min(read(path, at_least=256).shape[:2]) == 260
    assert time.process_time() - middle < (middle - start) / 2


def test_arrays() -> None:
    assert read(COLOUR) is COLOUR
    np.testing.assert_array_equal(read(GREY), np.dstack([GREY] * 3))
    np.testing.assert_array_equal(read(np.asfortranarray(COLOUR)), COLOUR)
    np.testing.assert_array_equal(read(GREY > 99)[..., 0], np.where(GREY > 99, 255, 0))
    assert size(COLOUR) == (7, 11)


@pytest.mark.parametrize(
    "array",
    [
        COLOUR.astype(np.float32) / 255,
        COLOUR.astype(np.int64),
        COLOUR.transpose(2, 0, 1),
        np.dstack([COLOUR, GREY]),
        GREY[None, None],
        GREY[0],
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((5, 5, 3), bool),
    ],
    ids=["float", "int", "channels first", "rgba", "4-d", "1-d", "empty", "bool colour"],
)
def test_other_arrays_are_refused(array: np.ndarray) -> None:
    with pytest.raises(InputError) as caught:
        read(array)
    assert str(array.shape) in str(caught.value)


@pytest.mark.parametrize(
    ("modes", "near"),
    [
        (["RGB"], 0),
        (["RGBA"], 0),
        (["RGBA", "RGBa"], 0),
        (["YCbCr"], 3),
        (["HSV"], 12),
        (["CMYK"], 0),
    ],
    ids=str,
)
def test_pil_images_of_colour_modes(modes: list[str], near: int) -> None:
    picture = Image.fromarray(COLOUR)
    for mode in modes:
        picture = picture.convert(mode)
    assert np.abs(read(picture).astype(int) - COLOUR).max() <= near


@pytest.mark.parametrize("modes", [["L"], ["LA"], ["LA", "La"], ["I"], ["F"], ["P"]], ids=str)
def test_pil_images_of_grey_modes(modes: list[str]) -> None:
    picture = Image.fromarray(GREY)
    for mode in modes:
        picture = picture.convert(mode)
    np.testing.assert_array_equal(read(picture), np.dstack([GREY] * 3))


def test_what_is_not_a_usable_file(tmp_path: Path) -> None:
    says("no such file", tmp_path / "missing.png")
    says("folder", tmp_path)
    (tmp_path / "empty.jpg").touch()
    says("empty", tmp_path / "empty.jpg")
    (tmp_path / "text.png").write_text("a cat, I am told")
    says("not an image", tmp_path / "text.png")
    os.mkfifo(tmp_path / "pipe.png")
    says("regular file", tmp_path / "pipe.png")
    (tmp_path / "nowhere.png").symlink_to(tmp_path / "gone.png")
    says("no such file", tmp_path / "nowhere.png")


def test_ghostscript_is_never_started(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.jpg")
    says("not an image", tmp_path / "a.jpg")


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", "bmp", "gif", "ppm", "avif"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_truncated_files(tmp_path: Path, suffix: str, share: float) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = tmp_path / f"cut.{suffix}"
    Image.fromarray(noise).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: max(1, int(share * len(data)))])
    says("damaged or cut short|not an image", path)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@settings(deadline=None)
@given(st.binary(min_size=1, max_size=60), st.integers(0, 10**6), st.sampled_from(["PNG", "GIF"]))
def test_any_damage_is_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, patch: bytes, at: int, form: str
) -> None:
    out = io.BytesIO()
    Image.fromarray(GREY).save(out, form)
    data = bytearray(out.getvalue())
    at %= len(data)
    data[at : at + len(patch)] = patch
    path = tmp_path_factory.getbasetemp() / "patched"
    path.write_bytes(bytes(data))
    # the damage may well say that the picture is huge
    with mock.patch.object(decode, "PIXEL_LIMIT", 10**5):
        try:
            message = f"{path} {read(path).shape}"
        except InputError as error:
            message = str(error)
    assert str(path) in message


def _png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "bomb.png").write_bytes(_png_header(60_000, 60_000))
    says("pixels", tmp_path / "bomb.png")


def test_the_limit_is_ours_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "a.png")
    Image.fromarray(COLOUR).save(tmp_path / "a.jpg")
    monkeypatch.setattr(decode, "PIXEL_LIMIT", 77)
    assert read(tmp_path / "a.png").shape == (7, 11, 3)
    monkeypatch.setattr(decode, "PIXEL_LIMIT", 76)
    says("76 pixels", tmp_path / "a.png")
    says("76 pixels", tmp_path / "a.jpg", lambda path: read(path, at_least=2))


def test_masks_keep_their_values(tmp_path: Path) -> None:
    indices = Image.fromarray(np.array([[0, 7, 255]], np.uint8), "P")
    indices.putpalette(bytes(range(256)) * 3)
    indices.save(tmp_path / "palette.png")
    assert read_mask(tmp_path / "palette.png").tolist() == [[0, 7, 255]]
    cv2.imwrite(str(tmp_path / "deep.png"), np.array([[0, 300, 65535]], np.uint16))
    assert read_mask(tmp_path / "deep.png").tolist() == [[0, 300, 65535]]
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "bits.png")
    assert read_mask(tmp_path / "bits.png").tolist() == [[1, 0]]
    Image.fromarray(np.array([[3.0, 70000.0]], np.float32)).save(tmp_path / "float.tiff")
    assert read_mask(tmp_path / "float.tiff").tolist() == [[3, 70000]]
    Image.fromarray(np.dstack([GREY] * 3)).save(tmp_path / "three.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "three.png"), GREY)
    layers = np.array([[[255, 255, 255, 255], [9, 8, 7, 0]]], np.uint8)
    Image.fromarray(layers).save(tmp_path / "layer.png")
    assert read_mask(tmp_path / "layer.png").tolist() == [[255, 0]]
    for mask in (GREY, GREY.astype(np.int64)):
        np.testing.assert_array_equal(read_mask(mask), mask)


def test_a_mask_turns_with_its_photo(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(GREY)).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_mask(tmp_path / "turned.png"), GREY)


def test_masks_that_cannot_be_meant(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.jpg")
    says("PNG", tmp_path / "a.jpg", read_mask)
    Image.fromarray(COLOUR).save(tmp_path / "a.png")
    says("one channel", tmp_path / "a.png", read_mask)
    Image.fromarray(np.array([[0.5, np.nan]], np.float32)).save(tmp_path / "a.tiff")
    says("whole numbers", tmp_path / "a.tiff", read_mask)
    with pytest.raises(InputError, match="one value per pixel"):
        read_mask(COLOUR)
