//! Reading an executable's header: is it what a `FROM scratch` image of a platform can run?

use anyhow::bail;

use crate::platform::Platform;

const LOADER_WANTED: u32 = 3; // PT_INTERP

/// Accepts a static 64-bit executable of the platform.
pub(crate) fn check_static(bytes: &[u8], platform: Platform) -> anyhow::Result<()> {
    let number = |at: usize, length: usize| -> Option<usize> {
        let field = bytes.get(at..at.checked_add(length)?)?;
        Some(field.iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte)))
    };
    let Some(headers) = number(32, 8).filter(|_| bytes.starts_with(b"\x7fELF\x02\x01")) else {
        bail!("the binary is not a 64-bit little-endian ELF file");
    };
    let machine = match platform {
        Platform::Amd64 => 62,
        Platform::Arm64 => 183,
    };
    if number(18, 2) != Some(machine) {
        bail!("the binary is not for {}", platform.name());
    }
    let (Some(size), Some(count)) = (number(54, 2), number(56, 2)) else { bail!("the binary is cut off") };
    for index in 0..count {
        let Some(kind) = number(headers + index * size, 4) else { bail!("the binary is cut off") };
        if kind == LOADER_WANTED as usize {
            bail!(
                "the binary is not static: it asks for a dynamic loader, which an image made from scratch does not have"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(machine: u8, segments: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 64 + 56 * segments.len()];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        (bytes[18], bytes[32], bytes[54], bytes[56]) = (machine, 64, 56, segments.len() as u8);
        for (index, kind) in segments.iter().enumerate() {
            bytes[64 + 56 * index] = *kind;
        }
        bytes
    }

    #[test]
    fn only_static_executables_of_the_platform_pass() {
        for (bytes, message) in [
            (elf(62, &[1, 1, 7]), ""),
            (
                elf(62, &[6, 3, 1]),
                "the binary is not static: it asks for a dynamic loader, which an image made from scratch does not have",
            ),
            (elf(183, &[1]), "the binary is not for linux/amd64"),
            (elf(62, &[1, 1])[..70].to_vec(), "the binary is cut off"),
            (b"#!/bin/sh\n".to_vec(), "the binary is not a 64-bit little-endian ELF file"),
            (vec![], "the binary is not a 64-bit little-endian ELF file"),
        ] {
            let said = check_static(&bytes, Platform::Amd64)
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default();
            assert_eq!(said, message);
        }
    }
}
