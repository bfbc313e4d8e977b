"""A small GGUF (version 3) writer and reader, with Q8_0 blocks."""

import struct

import numpy as np

ALIGNMENT = 32
F32, F16, Q8_0 = 0, 1, 8
U32, I32, FLOAT, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9


def _string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(kind, value):
    if kind == STRING:
        return _string(value)
    return struct.pack({U32: "<I", I32: "<i", FLOAT: "<f", BOOL: "<?"}[kind], value)


def _entry(key, kind, value):
    """One metadata pair; kind is a type, or (ARRAY, element type)."""
    head = _string(key)
    if isinstance(kind, tuple):
        head += struct.pack("<IIQ", ARRAY, kind[1], len(value))
        return head + b"".join(_value(kind[1], v) for v in value)
    return head + struct.pack("<I", kind) + _value(kind, value)


def quantise(matrix):
    """Q8_0: for every 32 values a float16 scale and 32 signed bytes."""
    blocks = matrix.astype(np.float32).reshape(-1, 32)
    scale = np.abs(blocks).max(1) / 127
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    out = np.empty(len(blocks), dtype=[("d", "<f2"), ("q", "i1", 32)])
    out["d"] = scale.astype(np.float16)
    out["q"] = np.rint(blocks * inverse[:, None])
    return out.tobytes()


def dequantise(data, shape):
    """The float32 values of Q8_0 blocks."""
    blocks = np.frombuffer(data, dtype=[("d", "<f2"), ("q", "i1", 32)])
    return (blocks["d"].astype(np.float32)[:, None] * blocks["q"]).reshape(shape)


def write(path, metadata, tensors):
    """Writes metadata [(key, kind, value)] and tensors [(name, array)]; matrices become Q8_0."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    head += b"".join(_entry(*m) for m in metadata)
    offset, blobs = 0, []
    for name, array in tensors:
        kind = Q8_0 if array.ndim == 2 else F32
        blob = quantise(array) if kind == Q8_0 else array.astype("<f4").tobytes()
        head += _string(name) + struct.pack("<I", array.ndim)
        head += b"".join(struct.pack("<Q", n) for n in reversed(array.shape))
        head += struct.pack("<IQ", kind, offset)
        blob += bytes(-len(blob) % ALIGNMENT)
        offset += len(blob)
        blobs.append(blob)
    head += bytes(-len(head) % ALIGNMENT)
    with open(path, "wb") as f:
        f.write(head)
        f.writelines(blobs)


class _Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return values[0] if len(values) == 1 else values

    def string(self):
        size = self.take("Q")
        self.at += size
        return self.data[self.at - size : self.at].decode()

    def value(self, kind):
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            inner, size = self.take("IQ")
            return [self.value(inner) for _ in range(size)]
        return self.take({U32: "I", I32: "i", FLOAT: "f", BOOL: "?"}[kind])


def read(path):
    """The metadata as a dict, and the tensors as float32 arrays."""
    with open(path, "rb") as f:
        r = _Reader(f.read())
    assert r.data[:4] == b"GGUF"
    r.at = 4
    _, tensor_count, pair_count = r.take("IQQ")
    metadata = {}
    for _ in range(pair_count):
        key = r.string()
        metadata[key] = r.value(r.take("I"))
    infos = []
    for _ in range(tensor_count):
        name, rank = r.string(), r.take("I")
        shape = [r.take("Q") for _ in range(rank)][::-1]
        infos.append((name, shape, *r.take("IQ")))
    base = r.at + -r.at % ALIGNMENT
    tensors = {}
    for name, shape, kind, offset in infos:
        count, start = int(np.prod(shape)), base + offset
        if kind == Q8_0:
            tensors[name] = dequantise(r.data[start : start + count // 32 * 34], shape)
        else:
            tensors[name] = np.frombuffer(r.data, "<f4", count, start).reshape(shape)
    return metadata, tensors
