"""RGB pixels of sensor_msgs/Image and sensor_msgs/CompressedImage, live or from a bag.

Needs no ROS: any object with the attributes of the messages is accepted. rosbags-image and
cv_bridge rely on `step`, `width` and the length of `data`. Here these numbers are checked against
each other before memory is allocated.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera.image import MAX_PIXELS, check_size, decode_image
from netvlad_ros.core.errors import NetvladError


class _Encoding(NamedTuple):
    """How the bytes of one encoding become RGB.

    Attributes:
        channels: samples a pixel.
        sample_bytes: bytes a sample, 1 or 2.
        to_rgb: code of cv2.cvtColor for 8-bit samples; None: they are RGB already.
        even_width: whether two pixels of a row share chroma.
        planar_420: whether a plane of luma is followed by one of half its height with the chroma.
    """

    channels: int
    sample_bytes: int
    to_rgb: int | None
    even_width: bool = False
    planar_420: bool = False


_BAYER = {
    'rggb': cv2.COLOR_BayerRGGB2RGB,
    'bggr': cv2.COLOR_BayerBGGR2RGB,
    'gbrg': cv2.COLOR_BayerGBRG2RGB,
    'grbg': cv2.COLOR_BayerGRBG2RGB,
}
_ENCODINGS = {
    'mono8': _Encoding(1, 1, cv2.COLOR_GRAY2RGB),
    '8UC1': _Encoding(1, 1, cv2.COLOR_GRAY2RGB),
    'mono16': _Encoding(1, 2, cv2.COLOR_GRAY2RGB),
    '16UC1': _Encoding(1, 2, cv2.COLOR_GRAY2RGB),
    'rgb8': _Encoding(3, 1, None),
    'bgr8': _Encoding(3, 1, cv2.COLOR_BGR2RGB),
    '8UC3': _Encoding(3, 1, cv2.COLOR_BGR2RGB),  # OpenCV's channel order, as cv_bridge writes it
    'rgba8': _Encoding(4, 1, cv2.COLOR_RGBA2RGB),
    'bgra8': _Encoding(4, 1, cv2.COLOR_BGRA2RGB),
    '8UC4': _Encoding(4, 1, cv2.COLOR_BGRA2RGB),
    'rgb16': _Encoding(3, 2, None),
    'bgr16': _Encoding(3, 2, cv2.COLOR_BGR2RGB),
    '16UC3': _Encoding(3, 2, cv2.COLOR_BGR2RGB),
    'rgba16': _Encoding(4, 2, cv2.COLOR_RGBA2RGB),
    'bgra16': _Encoding(4, 2, cv2.COLOR_BGRA2RGB),
    'yuv422': _Encoding(2, 1, cv2.COLOR_YUV2RGB_UYVY, even_width=True),
    'uyvy': _Encoding(2, 1, cv2.COLOR_YUV2RGB_UYVY, even_width=True),
    'yuv422_yuy2': _Encoding(2, 1, cv2.COLOR_YUV2RGB_YUY2, even_width=True),
    'yuyv': _Encoding(2, 1, cv2.COLOR_YUV2RGB_YUY2, even_width=True),
    'nv12': _Encoding(1, 1, cv2.COLOR_YUV2RGB_NV12, even_width=True, planar_420=True),
    'nv21': _Encoding(1, 1, cv2.COLOR_YUV2RGB_NV21, even_width=True, planar_420=True),
}
for _pattern, _code in _BAYER.items():
    _ENCODINGS[f'bayer_{_pattern}8'] = _Encoding(1, 1, _code)
    _ENCODINGS[f'bayer_{_pattern}16'] = _Encoding(1, 2, _code)

MAX_COMPRESSED_BYTES = 64 * 2**20


def rgb_from_image(message: Any, most_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Pixels of a sensor_msgs/Image.

    Padded rows and both byte orders are supported. Of 16-bit samples the high byte is kept.

    Args:
        message: the message.
        most_pixels: largest number of pixels.

    Returns:
        uint8 (H, W, 3), RGB. It may be a view of `message.data`: do not write to it.

    Raises:
        NetvladError: the encoding is unknown, the size impossible, or step or data too short.
    """
    encoding = _ENCODINGS.get(message.encoding)
    if encoding is None:
        raise NetvladError(
            f"image encoding '{str(message.encoding)[:40]}' is not supported; known are "
            f'{", ".join(_ENCODINGS)}'
        )
    height, width, step = int(message.height), int(message.width), int(message.step)
    check_size(width, height, 'image message', most_pixels)
    if encoding.even_width and (width % 2 or (encoding.planar_420 and height % 2)):
        raise NetvladError(
            f'image message is {width}x{height} px: {message.encoding} shares colour between '
            'neighbours and needs even sides'
        )
    row_bytes = width * encoding.channels * encoding.sample_bytes
    if step < row_bytes:
        raise NetvladError(
            f'image message has a step of {step} bytes, but a row of {width} px in '
            f'{message.encoding} takes {row_bytes}'
        )
    rows = height * 3 // 2 if encoding.planar_420 else height
    data = _bytes(message.data)
    if data.size < rows * step:
        raise NetvladError(
            f'image message has {data.size} bytes of data, but {rows} rows of {step} bytes '
            f'take {rows * step}'
        )
    table = data[: rows * step].reshape(rows, step)[:, :row_bytes]
    if encoding.sample_bytes == 2:
        # Only the high byte is kept, so no bytes have to be swapped.
        table = table[:, 0 if message.is_bigendian else 1 :: 2]
    pixels = np.ascontiguousarray(table)
    if encoding.channels > 1:
        pixels = pixels.reshape(rows, width, encoding.channels)
    if encoding.to_rgb is None:
        return pixels
    return np.asarray(cv2.cvtColor(pixels, encoding.to_rgb), dtype=np.uint8)


def rgb_from_compressed(message: Any, most_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Pixels of a sensor_msgs/CompressedImage (JPEG or PNG).

    The size in the header is checked before the image is decoded.

    Args:
        message: the message.
        most_pixels: largest number of pixels.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        NetvladError: the data is no complete JPEG or PNG, or its size is impossible.
    """
    raw = _bytes(message.data)
    if raw.size > MAX_COMPRESSED_BYTES:
        raise NetvladError(
            f'compressed image has {raw.size} bytes, more than {MAX_COMPRESSED_BYTES}'
        )
    data = raw.tobytes()
    # Decoders fill the missing part of a truncated file with grey and report no error, so the end
    # marker is checked. The markers for start of scan and end of image cannot occur inside JPEG's
    # entropy-coded data. A scan that starts after the last end of image is therefore truncated.
    if data.startswith(b'\xff\xd8\xff'):
        whole = data.rfind(b'\xff\xd9') > data.rfind(b'\xff\xda')
    elif data.startswith(b'\x89PNG\r\n\x1a\n'):
        whole = b'IEND' in data[-64:]
    else:
        raise NetvladError(
            f"compressed image with format '{str(message.format)[:40]}' is neither JPEG nor PNG"
        )
    if not whole:
        raise NetvladError(f'compressed image of {len(data)} bytes is cut off before its end')
    rgb = decode_image(data, 'compressed image', most_pixels)
    # image_transport writes 'source; jpeg compressed target'. With target rgb8 the publisher gave
    # RGB to an encoder that expects BGR, so red and blue are swapped in the file.
    if str(message.format).rpartition('compressed')[2].strip().startswith('rgb'):
        rgb = np.ascontiguousarray(rgb[:, :, ::-1])
    return rgb


def _bytes(data: Any) -> NDArray[np.uint8]:
    """View bytes, array.array or a uint8 array as uint8 (n,)."""
    try:
        view = memoryview(data).cast('B')
    except TypeError as error:
        raise NetvladError(f'image data is {type(data).__name__}, not bytes') from error
    if view.nbytes == 0:
        raise NetvladError('image message carries no data')
    return np.frombuffer(view, dtype=np.uint8)
