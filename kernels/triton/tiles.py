"""What the loops do with memory: which rows a program owns, its tiles of a step, its resident matrices.

A tile has BT batch rows and HP = H padded to a power of two units. What lies outside the tensor reads as zero
and is never written; zero rows and columns of the matrices keep the padded units of a state at what the
stages make of zero, and out of every product. Offsets of a tile's first row are 64 bit, those inside it 32.
"""

import triton
import triton.language as tl


@triton.jit
def owned_rows(B, BT: tl.constexpr):
    """(group, first batch row, number of rows from there to the end of the batch) of this program."""
    tiles = tl.cdiv(B, BT)
    program = tl.program_id(0)
    first = (program % tiles).to(tl.int64) * BT
    return (program // tiles).to(tl.int64), first, B - first


@triton.jit
def load_matrix(
    weight, group, gate: tl.constexpr, H: tl.constexpr, HP: tl.constexpr, TRANSPOSED: tl.constexpr
):
    """Block `gate` of weight [G, 3H, H] as the right factor of a product: U [HP, HP], or Uᵀ."""
    rows = tl.arange(0, HP)[:, None]
    columns = tl.arange(0, HP)[None, :]
    block = weight + (group * 3 + gate) * (H * H)
    offsets = columns * H + rows if TRANSPOSED else rows * H + columns
    return tl.load(block + offsets, mask=(rows < H) & (columns < H), other=0.0)


@triton.jit
def load_parameters(parameters, group, H: tl.constexpr, HP: tl.constexpr):
    """A row [1, HP] of each parameter [G, H]."""
    units = tl.arange(0, HP)[None, :]
    result = ()
    for i in tl.static_range(len(parameters)):
        result += (tl.load(parameters[i] + group * H + units, mask=units < H, other=0.0),)
    return result


@triton.jit
def load_step(sequences, row, rows_left, H: tl.constexpr, HP: tl.constexpr, BT: tl.constexpr):
    """A tile of each sequence from row `row` on: [BT, HP] of [rows, H], [BT, 1] of a mask of bytes [rows]."""
    rows = tl.arange(0, BT)[:, None]
    result = ()
    for i in tl.static_range(len(sequences)):
        if sequences[i].dtype.element_ty == tl.uint8:
            result += (tl.load(sequences[i] + row + rows, mask=rows < rows_left, other=0) != 0,)
        else:
            result += (load_tile(sequences[i], row, rows_left, H, HP, BT),)
    return result


@triton.jit
def load_tile(values, row, rows_left, H: tl.constexpr, HP: tl.constexpr, BT: tl.constexpr):
    """Rows row … row + BT − 1 of a tensor [rows, H] as a tile [BT, HP]."""
    rows = tl.arange(0, BT)[:, None]
    units = tl.arange(0, HP)[None, :]
    return tl.load(values + row * H + (rows * H + units), mask=(rows < rows_left) & (units < H), other=0.0)


@triton.jit
def store_tile(values, tile, row, rows_left, H: tl.constexpr, HP: tl.constexpr, BT: tl.constexpr):
    """Write a tile [BT, HP] to rows row … row + BT − 1 of a tensor [rows, H]."""
    rows = tl.arange(0, BT)[:, None]
    units = tl.arange(0, HP)[None, :]
    tl.store(values + row * H + (rows * H + units), tile, mask=(rows < rows_left) & (units < H))


@triton.jit
def product(vector, matrix, PRECISION: tl.constexpr):
    """vector [BT, K] · matrix [K, N]: factors in the dtype of the matrix, sum in the dtype of the vector."""
    return tl.dot(vector.to(matrix.dtype), matrix, input_precision=PRECISION, out_dtype=vector.dtype)
