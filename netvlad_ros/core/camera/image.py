"""RGB images: size checks, decoding, encoding, resizing, and the share of edges."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.files import read_plain

MIN_SIDE_PX = 16  # of an image that is accepted
MAX_SIDE_PX = 16384
MAX_PIXELS = 100_000_000  # 300 MB when decoded; cameras of robots have far fewer
MAX_FILE_BYTES = 256 * 2**20
START_OF_SCAN = b'\xff\xda'  # comes nowhere else in the compressed data of a JPEG
MAX_SCANS = 100  # a progressive JPEG has about ten
EDGE_SIZE_PX = (160, 120)  # averaging down to this width and height removes noise and keeps edges
MIN_GRADIENT = 2.0  # of an edge, in grey levels per pixel


def check_rgb(rgb: NDArray[np.uint8]) -> None:
    """Raise NetvladError unless rgb is uint8 (H, W, 3) of a size that check_size accepts."""
    if not isinstance(rgb, np.ndarray) or rgb.dtype != np.uint8:
        kind = getattr(rgb, 'dtype', type(rgb).__name__)
        raise NetvladError(f'an image must be uint8, this one is {kind}')
    if rgb.ndim != 3 or rgb.shape[2] != 3:
        raise NetvladError(f'an image must have the shape (H, W, 3), this one has {rgb.shape}')
    check_size(rgb.shape[1], rgb.shape[0], 'an image')


def check_size(width: int, height: int, what: str, most_pixels: int = MAX_PIXELS) -> None:
    """Check the size of an image.

    Args:
        width: [px], MIN_SIDE_PX to MAX_SIDE_PX.
        height: [px], MIN_SIDE_PX to MAX_SIDE_PX.
        what: name of the image in errors.
        most_pixels: largest number of pixels.

    Raises:
        NetvladError: a side is too small or too large, or there are too many pixels.
    """
    if not all(MIN_SIDE_PX <= side <= MAX_SIDE_PX for side in (width, height)):
        raise NetvladError(
            f'{what} is {width}x{height} px; sides must be {MIN_SIDE_PX} to {MAX_SIDE_PX} px'
        )
    if width * height > most_pixels:
        raise NetvladError(
            f'{what} has {width}x{height} px, more than {most_pixels / 10**6:g} million'
        )


def decode_image(data: bytes, what: str, most_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode an encoded image (JPEG, PNG, ...).

    The size in the header is checked before memory is allocated for the pixels. A progressive JPEG
    goes over all its pixels in every scan, and a scan takes a few bytes of the file.

    Args:
        data: the bytes of the file.
        what: name of the image in errors.
        most_pixels: largest number of pixels.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        NetvladError: the image is too large, has too many scans or is unreadable.
    """
    if data.startswith(b'\xff\xd8') and data.count(START_OF_SCAN) > MAX_SCANS:
        raise NetvladError(f'{what} is a JPEG of more than {MAX_SCANS} scans')
    try:
        with Image.open(io.BytesIO(data)) as header:
            width, height = header.size
    # The header of a damaged or malicious file can raise anything in the parsers of its format.
    except Exception as error:
        raise NetvladError(f'{what} is not a readable image') from error
    check_size(width, height, what, most_pixels)
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise NetvladError(f'{what} is not a readable image') from error
    if bgr is None:
        raise NetvladError(f'{what} is not a readable image')
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read an image file to uint8 (H, W, 3), RGB. Raises NetvladError naming the file."""
    what = f'image {path}'
    if not path.is_file():
        raise NetvladError(f'{what} does not exist or is no file')
    return decode_image(read_plain(path, MAX_FILE_BYTES, what), what)


def resize(rgb: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resize an image, uint8 (H, W, 3), to uint8 (height, width, 3).

    Area averaging when the image shrinks (no aliasing), bilinear when it grows.
    """
    if rgb.shape[:2] == (height, width):
        return rgb
    shrinks = height * width < rgb.shape[0] * rgb.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=method), dtype=np.uint8)


def to_jpeg(rgb: NDArray[np.uint8], quality: int, size: tuple[int, int] | None = None) -> bytes:
    """Encode an image, uint8 (H, W, 3) RGB, as JPEG.

    Args:
        rgb: the image.
        quality: of the JPEG, 0 to 100.
        size: width, height [px] to shrink to first, by area averaging; None keeps the size.
    """
    if size is not None:
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return jpeg.tobytes()


def edge_share(rgb: NDArray[np.uint8]) -> float:
    """Share of an image that has edges.

    A near wall, a covered lens and a dark room have a few percent at most; places have a tenth or
    more. Descriptors of blank images are all similar: one wall would match any other.

    Args:
        rgb: uint8 (H, W, 3), RGB.

    Returns:
        0..1, share of the pixels at which brightness changes by more than MIN_GRADIENT.
    """
    small = cv2.resize(rgb, EDGE_SIZE_PX, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    across = cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=1 / 8)
    return float(np.mean(cv2.magnitude(across, down) > MIN_GRADIENT))
