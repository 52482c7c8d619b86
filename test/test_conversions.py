"""Image messages become RGB pixels in every encoding, padded and swapped; bad ones are named."""

from __future__ import annotations

import struct
import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from netvlad_ros.core.camera.image_message import rgb_from_compressed, rgb_from_image
from netvlad_ros.core.errors import NetvladError

H, W = 32, 48


def scene():
    """Smooth colours: demosaicing and chroma sharing keep them within a few grey levels."""
    y, x = np.mgrid[0:H, 0:W].astype(np.float64)
    red, green, blue = 40 + 3 * x, 200 - 4 * y, 60 + 2 * x + 2 * y
    return np.stack([red, green, blue], axis=-1).round().astype(np.uint8)


def message(encoding, table, *, pad=0, big=False):
    """An Image whose rows are the bytes of `table` (rows, ...) followed by `pad` bytes of junk."""
    kind = table.dtype.newbyteorder('>' if big else '<')
    rows = np.ascontiguousarray(table.astype(kind)).view(np.uint8).reshape(table.shape[0], -1)
    junk = np.full((rows.shape[0], pad), 0xA5, np.uint8)
    return SimpleNamespace(
        encoding=encoding,
        height=H,
        width=W,
        step=rows.shape[1] + pad,
        is_bigendian=int(big),
        data=np.hstack([rows, junk]).tobytes(),
    )


def bayer(rgb, pattern):
    mosaic = np.empty(rgb.shape[:2], np.uint8)
    for place, colour in enumerate(pattern):
        rows, columns = slice(place // 2, None, 2), slice(place % 2, None, 2)
        mosaic[rows, columns] = rgb[rows, columns, 'rgb'.index(colour)]
    return mosaic


def wide(table):
    """8-bit samples as 16-bit ones whose low byte must not matter."""
    return table.astype(np.uint16) << 8 | 0x5A


def tables():
    rgb = scene()
    gray = rgb[..., 1]
    alpha = np.full((H, W, 1), 7, np.uint8)
    rgba = np.concatenate([rgb, alpha], axis=-1)
    bgra = np.concatenate([rgb[..., ::-1], alpha], axis=-1)
    # ROS sends studio-range YCbCr, as cameras do (ITU-R BT.601).
    r, g, b = (rgb[..., i].astype(np.float64) for i in range(3))
    yuv = (
        np.stack(
            [
                16 + (65.481 * r + 128.553 * g + 24.966 * b) / 255,
                128 + (-37.797 * r - 74.203 * g + 112.0 * b) / 255,
                128 + (112.0 * r - 93.786 * g - 18.214 * b) / 255,
            ],
            axis=-1,
        )
        .round()
        .astype(np.uint8)
    )
    uyvy = np.empty((H, W, 2), np.uint8)
    uyvy[..., 1] = yuv[..., 0]
    uyvy[:, 0::2, 0], uyvy[:, 1::2, 0] = yuv[:, 0::2, 1], yuv[:, 0::2, 2]
    chroma = yuv[0::2, 0::2, 1:]
    nv12 = np.vstack([yuv[..., 0], chroma.reshape(H // 2, W)])
    nv21 = np.vstack([yuv[..., 0], chroma[..., ::-1].reshape(H // 2, W)])
    gray_rgb = np.repeat(gray[..., None], 3, axis=-1)
    yield from (
        ('mono8', gray, gray_rgb, 0),
        ('8UC1', gray, gray_rgb, 0),
        ('mono16', wide(gray), gray_rgb, 0),
        ('16UC1', wide(gray), gray_rgb, 0),
        ('rgb8', rgb, rgb, 0),
        ('bgr8', rgb[..., ::-1], rgb, 0),
        ('8UC3', rgb[..., ::-1], rgb, 0),
        ('rgba8', rgba, rgb, 0),
        ('bgra8', bgra, rgb, 0),
        ('8UC4', bgra, rgb, 0),
        ('rgb16', wide(rgb), rgb, 0),
        ('bgr16', wide(rgb[..., ::-1]), rgb, 0),
        ('16UC3', wide(rgb[..., ::-1]), rgb, 0),
        ('rgba16', wide(rgba), rgb, 0),
        ('bgra16', wide(bgra), rgb, 0),
        ('yuv422', uyvy, rgb, 8),
        ('uyvy', uyvy, rgb, 8),
        ('yuv422_yuy2', uyvy[..., ::-1], rgb, 8),
        ('yuyv', uyvy[..., ::-1], rgb, 8),
        ('nv12', nv12, rgb, 12),
        ('nv21', nv21, rgb, 12),
    )
    for pattern in ('rggb', 'bggr', 'gbrg', 'grbg'):
        yield f'bayer_{pattern}8', bayer(rgb, pattern), rgb, 8
        yield f'bayer_{pattern}16', wide(bayer(rgb, pattern)), rgb, 8


@pytest.mark.parametrize('big', [False, True], ids=['little', 'big'])
@pytest.mark.parametrize('pad', [0, 13], ids=['tight', 'padded'])
@pytest.mark.parametrize(
    ('encoding', 'table', 'truth', 'tolerance'),
    list(tables()),
    ids=lambda v: v if isinstance(v, str) else '',
)
def test_every_encoding(encoding, table, truth, tolerance, pad, big):
    rgb = rgb_from_image(message(encoding, table, pad=pad, big=big))
    assert rgb.dtype == np.uint8
    assert rgb.shape == (H, W, 3)
    # A border pixel lacks neighbours to demosaic from.
    inner = np.s_[2:-2, 2:-2]
    assert np.abs(rgb[inner].astype(int) - truth[inner]).max() <= tolerance


def broken(**change):
    good = message('rgb8', scene())
    return SimpleNamespace(**{**vars(good), **change})


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'height': 0}, '0'),
        ({'width': 0}, '0'),
        ({'height': 0, 'width': 0, 'step': 0, 'data': b''}, '0x0'),
        ({'step': 0}, 'step of 0'),
        ({'step': W * 3 - 1}, 'takes 144'),
        ({'step': W * 3 + 1}, 'take 4640'),
        ({'data': b''}, 'no data'),
        ({'data': scene().tobytes()[:-1]}, '4607 bytes'),
        ({'data': [1, 2, 3]}, 'list'),
        ({'encoding': ''}, 'encoding'),
        ({'encoding': 'RGB8'}, 'encoding'),
        ({'encoding': '32FC1'}, 'encoding'),
        ({'encoding': 'x' * 100_000}, 'xxx'),
        ({'width': 2**32 - 1, 'height': 2**32 - 1, 'step': 2**32 - 1}, '16384'),
        ({'width': 16385}, '16384'),
        ({'encoding': 'yuv422', 'width': 47}, 'even'),
        ({'encoding': 'nv12', 'height': 31}, 'even'),
    ],
    ids=lambda v: str(sorted(v))[:40] if isinstance(v, dict) else '',
)
def test_malformed_image_is_named(change, words):
    with pytest.raises(NetvladError) as caught:
        rgb_from_image(broken(**change))
    assert words in str(caught.value)
    assert len(str(caught.value)) < 600


def compressed(data, kind='jpeg'):
    return SimpleNamespace(format=kind, data=data)


def encoded(suffix):
    return cv2.imencode(suffix, np.ascontiguousarray(scene()[..., ::-1]))[1].tobytes()


@pytest.mark.parametrize(('suffix', 'tolerance'), [('.jpg', 12), ('.png', 0)])
def test_compressed(suffix, tolerance):
    rgb = rgb_from_compressed(compressed(encoded(suffix)))
    assert rgb.shape == (H, W, 3)
    assert np.abs(rgb.astype(int) - scene()).max() <= tolerance
    padded = rgb_from_compressed(compressed(encoded('.jpg') + b'\0' * 100))
    assert padded.shape == (H, W, 3)


def test_compressed_rgb_target_is_swapped_back():
    data = cv2.imencode('.png', scene())[1].tobytes()  # RGB handed to an encoder that wants BGR
    np.testing.assert_array_equal(
        rgb_from_compressed(compressed(data, 'rgb8; png compressed rgb8')), scene()
    )


def png_bomb(width, height):
    """A few bytes of PNG that claim gigapixels."""

    def chunk(kind, body):
        return (
            struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))
        )

    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    return (
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', header)
        + chunk(b'IDAT', zlib.compress(b''))
        + chunk(b'IEND', b'')
    )


@pytest.mark.parametrize(
    'data',
    [
        b'',
        b'\xff\xd8\xff',
        b'not an image at all',
        b'GIF89a' + b'\0' * 100,
        encoded('.jpg')[:-200],
        encoded('.png')[:-200],
        encoded('.jpg')[:100],
        png_bomb(60_000, 60_000),
        png_bomb(16_000, 16_000),
        png_bomb(0, 0),
    ],
    ids=['empty', 'start', 'text', 'gif', 'cut jpeg', 'cut png', 'head', 'bomb', 'big', 'zero'],
)
def test_malformed_compressed_is_named(data):
    with pytest.raises(NetvladError):
        rgb_from_compressed(compressed(data))
