//! What of a server's certificate is needed where nobody vouches for it: its key, and the hash that binds a
//! login to it (RFC 5929, `tls-server-end-point`).

use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// `[0]`, with something inside.
const CONTEXT_0: u8 = 0xa0;

struct Element<'a> {
    tag: u8,
    /// With its tag and its length.
    whole: &'a [u8],
    inside: &'a [u8],
}

fn split(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        if !(1..=4).contains(&count) {
            return None;
        }
        let (digits, rest) = rest.split_at_checked(count)?;
        (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
    };
    let (inside, after) = rest.split_at_checked(length)?;
    let whole = &bytes[..bytes.len() - after.len()];
    Some((Element { tag, whole, inside }, after))
}

fn elements(mut bytes: &[u8]) -> Option<Vec<Element<'_>>> {
    let mut parts = Vec::new();
    while !bytes.is_empty() {
        let (part, rest) = split(bytes)?;
        parts.push(part);
        bytes = rest;
    }
    Some(parts)
}

/// The three parts of a certificate: what is signed, the algorithm, the signature.
fn of_certificate(certificate: &[u8]) -> Option<[Element<'_>; 3]> {
    let (certificate, _) = split(certificate)?;
    elements(certificate.inside)?.try_into().ok()
}

/// The `SubjectPublicKeyInfo`, of certificates of any version.
pub(super) fn public_key(certificate: &[u8]) -> Option<&[u8]> {
    let [signed, ..] = of_certificate(certificate)?;
    // The version may be missing; then serial number, algorithm, issuer, validity, subject.
    let mut fields = elements(signed.inside)?.into_iter().skip_while(|part| part.tag == CONTEXT_0).skip(5);
    fields.next().filter(|part| part.tag == SEQUENCE).map(|part| part.whole)
}

/// What a login is bound to; `None` where the signature's algorithm has no hash of its own, as Ed25519.
pub(super) fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let [_, algorithm, _] = of_certificate(certificate)?;
    let mut fields = elements(algorithm.inside)?.into_iter();
    let identifier = fields.next().filter(|part| part.tag == OBJECT_IDENTIFIER)?;
    let hash = match identifier.inside {
        RSA_PSS => hash_of_pss(fields.next()),
        other => SIGNATURES.iter().find(|(known, _)| *known == other)?.1,
    };
    Some(match hash {
        Hash::Sha224 => Sha224::digest(certificate).to_vec(),
        Hash::Sha256 => Sha256::digest(certificate).to_vec(),
        Hash::Sha384 => Sha384::digest(certificate).to_vec(),
        Hash::Sha512 => Sha512::digest(certificate).to_vec(),
    })
}

#[derive(Clone, Copy)]
enum Hash {
    Sha224,
    /// Also in place of MD5 and SHA-1.
    Sha256,
    Sha384,
    Sha512,
}

/// 1.2.840.113549.1.1.10
const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];

/// 1.2.840.113549.1.1.… (RSA) and 1.2.840.10045.4.… (ECDSA).
const SIGNATURES: [(&[u8], Hash); 11] = [
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4], Hash::Sha256),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5], Hash::Sha256),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 14], Hash::Sha224),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11], Hash::Sha256),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12], Hash::Sha384),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13], Hash::Sha512),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1], Hash::Sha256),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 1], Hash::Sha224),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2], Hash::Sha256),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3], Hash::Sha384),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4], Hash::Sha512),
];

/// 2.16.840.1.101.3.4.2.…
const HASHES: [(&[u8], Hash); 3] = [
    (&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 4], Hash::Sha224),
    (&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2], Hash::Sha384),
    (&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3], Hash::Sha512),
];

/// SHA-1, where the parameters don't say, counts as SHA-256, as does all else.
fn hash_of_pss(parameters: Option<Element<'_>>) -> Hash {
    let named = parameters.and_then(|parameters| {
        let (hash, _) = split(parameters.inside)?;
        let (algorithm, _) = split(hash.inside).filter(|_| hash.tag == CONTEXT_0)?;
        let (identifier, _) = split(algorithm.inside)?;
        HASHES.iter().find(|(known, _)| *known == identifier.inside)
    });
    named.map_or(Hash::Sha256, |(_, hash)| *hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    fn der(tag: u8, inside: &[u8]) -> Vec<u8> {
        let length = u8::try_from(inside.len()).unwrap();
        assert!(length < 0x80);
        [&[tag, length], inside].concat()
    }

    fn signed_by(algorithm: &[&[u8]]) -> Vec<u8> {
        let body = [der(SEQUENCE, &[]), der(SEQUENCE, &algorithm.concat()), der(3, &[0])].concat();
        der(SEQUENCE, &body)
    }

    #[test]
    fn the_hash_is_that_of_the_signature() {
        let named = |identifier: &[u8]| signed_by(&[&der(OBJECT_IDENTIFIER, identifier)]);
        for (identifier, hash) in SIGNATURES {
            let length = match hash {
                Hash::Sha224 => 28,
                Hash::Sha256 => 32,
                Hash::Sha384 => 48,
                Hash::Sha512 => 64,
            };
            assert_eq!(end_point(&named(identifier)).unwrap().len(), length, "{identifier:?}");
        }
        // Ed25519.
        assert_eq!(end_point(&named(&[0x2b, 0x65, 0x70])), None);
        let pss = |hash: &[u8]| {
            let algorithm = der(SEQUENCE, &der(OBJECT_IDENTIFIER, hash));
            signed_by(&[&der(OBJECT_IDENTIFIER, RSA_PSS), &der(SEQUENCE, &der(CONTEXT_0, &algorithm))])
        };
        assert_eq!(end_point(&pss(HASHES[1].0)).unwrap().len(), 48);
        assert_eq!(end_point(&named(RSA_PSS)).unwrap().len(), 32);
    }

    #[test]
    fn a_certificate_s_key_is_found() {
        let pem = include_bytes!("../../../tests/job/support/another_authority.pem");
        let certificate = CertificateDer::from_pem_slice(pem).unwrap();
        let key = rustls::pki_types::SubjectPublicKeyInfoDer::from(public_key(&certificate).unwrap());
        assert!(webpki::RawPublicKeyEntity::try_from(&key).is_ok());
        assert!(end_point(&certificate).is_some());
    }

    #[test]
    fn what_is_no_certificate_has_neither() {
        let pem = include_bytes!("../../../tests/job/support/another_authority.pem");
        let whole = CertificateDer::from_pem_slice(pem).unwrap();
        for end in 0..whole.len() {
            assert_eq!(end_point(&whole[..end]), None);
            assert_eq!(public_key(&whole[..end]), None);
        }
        for nonsense in [&b""[..], b"\x30\x80", b"\x30\x84\xff\xff\xff\xff", b"\x30\x85\0\0\0\0\0"] {
            assert_eq!(end_point(nonsense), None);
        }
    }
}
