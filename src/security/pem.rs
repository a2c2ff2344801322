//! Parses PEM files for TLS.

use rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};

/// All certificates in `pem`, in order; at least one.
///
/// # Errors
///
/// The problem as a phrase that follows the file's name, such as `is not PEM`. It never quotes the
/// file's content. The same holds for the other functions of this module.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|error| format!("is not PEM: {error}"))?;

    if certificates.is_empty() {
        return Err("contains no certificate: -----BEGIN CERTIFICATE----- is missing".to_owned());
    }

    Ok(certificates)
}

/// The certificates in `pem` as trusted CAs.
///
/// # Errors
///
/// As [`certificates`], and if one of them cannot be a CA.
pub fn roots(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for (number, certificate) in (1..).zip(certificates(pem)?) {
        roots
            .add(certificate)
            .map_err(|error| format!("certificate {number} cannot be used as a CA: {error}"))?;
    }

    Ok(roots)
}

/// The first key in `pem`.
///
/// # Errors
///
/// As [`certificates`].
pub fn key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    let encrypted = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
    if pem.windows(encrypted.len()).any(|it| it == encrypted) {
        return Err("contains an encrypted key; decrypt it with `openssl pkey`".to_owned());
    }

    // The library's message is not used: it may quote part of the key.
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
        let missing = matches!(error, pem::Error::NoItemsFound);
        let problem = if missing {
            "contains no key: -----BEGIN PRIVATE KEY----- is missing"
        } else {
            "is not PEM"
        };
        problem.to_owned()
    })
}
