//! Plain data in textures, in lines of [`TEXTURE_WIDTH`] vec4s. On some devices, reading a texel is faster than reading a
//! buffer.

use crate::checked_device::CheckedDevice;
use ridgeline_compute::{Error, Slice, TEXTURE_WIDTH};

/// Bytes of a texel.
const TEXEL: u64 = 16;

/// Bytes of a line.
const LINE: u64 = TEXEL * TEXTURE_WIDTH as u64;

/// A texture of plain data, with one texel per vec4.
#[derive(Debug)]
pub(crate) struct Texture {
    texture: wgpu::Texture,
    view: wgpu::TextureView,
}

/// A rectangle of consecutive texels: part of a line, or whole lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    column: u32,
    line: u32,
    width: u32,
    lines: u32,
}

impl Block {
    const fn bytes(self) -> u64 {
        self.width as u64 * self.lines as u64 * TEXEL
    }

    const fn origin(self) -> wgpu::Origin3d {
        wgpu::Origin3d { x: self.column, y: self.line, z: 0 }
    }

    const fn size(self) -> wgpu::Extent3d {
        wgpu::Extent3d { width: self.width, height: self.lines, depth_or_array_layers: 1 }
    }

    const fn layout(self, offset: u64) -> wgpu::TexelCopyBufferLayout {
        // A block of several lines has whole lines, and a line is a multiple of the 256 bytes that copies require.
        let line = if self.lines > 1 { Some(self.width * 16) } else { None };
        wgpu::TexelCopyBufferLayout { offset, bytes_per_row: line, rows_per_image: None }
    }
}

/// The blocks of `bytes` bytes from `offset` on: the rest of a line, whole lines, the start of a line.
///
/// `offset` and `bytes` are multiples of a texel.
fn blocks(offset: u64, bytes: u64) -> impl Iterator<Item = Block> {
    let end = offset + bytes;
    let mut at = offset;
    std::iter::from_fn(move || {
        let (line, within) = (at / LINE, at % LINE);
        let whole = (end - at) / LINE;
        let (width, lines) = match () {
            () if at >= end => return None,
            () if within == 0 && whole > 0 => (LINE, whole),
            () => ((LINE - within).min(end - at), 1),
        };
        at += width * lines;
        let texels = |bytes: u64| index(bytes / TEXEL);
        Some(Block { column: texels(within), line: index(line), width: texels(width), lines: index(lines) })
    })
}

/// Converts an index of a texel, column or line. Textures within the limits have fewer than 2^32 texels.
fn index(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Size in bytes of a texture for `bytes` bytes: whole lines.
pub(crate) const fn padded(bytes: u64) -> u64 {
    if bytes == 0 { LINE } else { bytes.next_multiple_of(LINE) }
}

/// Maximum size in bytes of a texture on a device with these limits.
pub(crate) fn largest(limits: &wgpu::Limits) -> u64 {
    let side = limits.max_texture_dimension_2d;
    if side < TEXTURE_WIDTH { 0 } else { u64::from(side) * LINE }
}

impl Texture {
    /// A zeroed texture for `bytes` bytes.
    pub(crate) fn new(device: &wgpu::Device, bytes: u64, label: &str) -> Self {
        let texture = device.create_texture(&wgpu::TextureDescriptor {
            label: Some(label),
            size: wgpu::Extent3d {
                width: TEXTURE_WIDTH,
                height: index(padded(bytes) / LINE),
                depth_or_array_layers: 1,
            },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba32Uint,
            usage: wgpu::TextureUsages::STORAGE_BINDING
                | wgpu::TextureUsages::COPY_SRC
                | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
        Self { texture, view }
    }

    /// The view to bind, of the whole texture.
    pub(crate) const fn view(&self) -> &wgpu::TextureView {
        &self.view
    }

    fn at(&self, block: Block) -> wgpu::TexelCopyTextureInfo<'_> {
        wgpu::TexelCopyTextureInfo { origin: block.origin(), ..self.texture.as_image_copy() }
    }

    /// Stages data for the whole texels from byte `offset` on.
    pub(crate) fn stage(&self, queue: &wgpu::Queue, offset: u64, data: &[u8]) {
        let mut rest = data;
        for block in blocks(offset, data.len() as u64) {
            let (texels, others) = rest.split_at(usize::try_from(block.bytes()).unwrap_or(rest.len()));
            queue.write_texture(self.at(block), texels, block.layout(0), block.size());
            rest = others;
        }
    }

    /// Appends copies of a slice to the buffer `to`, from byte `first` on, in whole texels.
    pub(crate) fn read(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        from: Slice,
        (to, first): (&wgpu::Buffer, u64),
    ) {
        let mut first = first;
        for block in blocks(from.offset, from.bytes.next_multiple_of(TEXEL)) {
            let to = wgpu::TexelCopyBufferInfo { buffer: to, layout: block.layout(first) };
            encoder.copy_texture_to_buffer(self.at(block), to, block.size());
            first += block.bytes();
        }
    }
}

/// Refuses a range of bytes that is not whole texels.
pub(crate) fn check_whole(device: &CheckedDevice, offset: u64, bytes: u64) -> Result<(), Error> {
    if offset.is_multiple_of(TEXEL) && bytes.is_multiple_of(TEXEL) {
        return device.check();
    }
    let reason =
        format!("{bytes} bytes at offset {offset} of a texture are not whole texels of {TEXEL} bytes");
    Err(Error::Device { reason })
}

/// Index of a slice's first texel, which kernels take as an immediate.
pub(crate) fn first_texel(slice: Slice) -> u32 {
    index(slice.offset / TEXEL)
}

#[cfg(test)]
mod tests {
    use super::{Block, LINE, blocks, padded};

    #[test]
    fn blocks_are_parts_of_lines_or_whole_lines() {
        let block = |column, line, width, lines| Block { column, line, width, lines };
        let of = |offset, bytes| blocks(offset, bytes).collect::<Vec<_>>();
        assert_eq!(of(0, 0), []);
        assert_eq!(of(256, 32), [block(16, 0, 2, 1)]);
        assert_eq!(of(LINE, 3 * LINE), [block(0, 1, 1024, 3)]);
        let whole = [block(1008, 0, 16, 1), block(0, 1, 1024, 2), block(0, 3, 1, 1)];
        assert_eq!(of(LINE - 256, 256 + 2 * LINE + 16), whole);
        assert_eq!(of(LINE - 256, 512), [block(1008, 0, 16, 1), block(0, 1, 16, 1)]);
    }

    #[test]
    fn blocks_cover_every_byte() {
        for (offset, bytes) in [(0, 16), (512, 5 * LINE), (LINE - 16, 32), (3 * LINE + 256, 7 * LINE - 256)] {
            let mut at = offset;
            for block in blocks(offset, bytes) {
                let first = u64::from(block.line) * LINE + u64::from(block.column) * 16;
                assert_eq!(first, at, "{offset} {bytes}");
                assert!(block.lines == 1 || u64::from(block.width) * 16 == LINE);
                at += block.bytes();
            }
            assert_eq!(at, offset + bytes);
        }
    }

    #[test]
    fn sizes_are_whole_lines() {
        assert_eq!([0, 16, LINE, LINE + 16].map(padded), [LINE, LINE, LINE, 2 * LINE]);
    }
}
