//! The orientation of a photograph, from its EXIF data (CIPA DC-008: a TIFF directory).

/// Tag of the orientation.
const ORIENTATION: u16 = 0x0112;

/// The orientation, from 1 (upright) to 8. Data that cannot be read mean 1.
pub(crate) fn orientation(data: &[u8]) -> u8 {
    read(data.strip_prefix(b"Exif\0\0").unwrap_or(data)).unwrap_or(1)
}

fn read(tiff: &[u8]) -> Option<u8> {
    let little = match tiff.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let u16_at = |at: usize| {
        let bytes = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let u32_at = |at: usize| {
        let bytes = tiff.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    };
    let directory = u32_at(4)? as usize;
    let entries = u16_at(directory)? as usize;
    // An entry has tag, type, count and value. The value of a short is in the first half of its four bytes.
    let entry = |i: usize| directory.checked_add(2 + 12 * i);
    let found = (0..entries).filter_map(entry).find(|&at| u16_at(at) == Some(ORIENTATION))?;
    let value = u16_at(found.checked_add(8)?)?;
    u8::try_from(value).ok().filter(|it| (1..=8).contains(it))
}

#[cfg(test)]
mod tests {
    use super::orientation;

    /// A directory with a width and this orientation.
    fn data(value: u16, little: bool) -> Vec<u8> {
        let words = |all: &[u16]| -> Vec<u8> {
            let bytes = |it: &u16| if little { it.to_le_bytes() } else { it.to_be_bytes() };
            all.iter().flat_map(bytes).collect()
        };
        let long = |it: u16| if little { [it, 0] } else { [0, it] };
        let header = if little { &b"II*\0"[..] } else { b"MM\0*" };
        let width = [&[0x0100, 3][..], &long(1), &[640, 0]].concat();
        let entry = [&[0x0112, 3][..], &long(1), &[value, 0]].concat();
        [header, &words(&long(8)), &words(&[2]), &words(&width), &words(&entry)].concat()
    }

    #[test]
    fn the_orientation_is_read_in_both_byte_orders() {
        for little in [true, false] {
            for value in 1..=8 {
                assert_eq!(u16::from(orientation(&data(value, little))), value);
                let named = [b"Exif\0\0", &data(value, little)[..]].concat();
                assert_eq!(u16::from(orientation(&named)), value);
            }
            assert_eq!(orientation(&data(9, little)), 1);
        }
    }

    #[test]
    fn data_that_cannot_be_read_mean_upright() {
        let whole = data(6, true);
        for len in 0..whole.len() - 2 {
            assert_eq!(orientation(&whole[..len]), 1, "{len}");
        }
        // The directory lies behind the end, at the largest offset.
        let far = [&b"II*\0"[..], &u32::MAX.to_le_bytes()].concat();
        assert_eq!(orientation(&far), 1);
    }
}
