//! PEM files as TLS wants them.

use rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};

/// Every certificate in `pem`, in its order; at least one.
///
/// # Errors
///
/// What is wrong with the file, to be said behind its name; never what it holds. So below.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| format!("is not PEM: {error}"))?;
    if all.is_empty() {
        return Err("holds no certificate: -----BEGIN CERTIFICATE----- is missing".to_owned());
    }
    Ok(all)
}

/// The certificates in `pem` as those that others must lead to.
///
/// # Errors
///
/// As [`certificates`], and when one cannot be a CA.
pub fn roots(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for (number, certificate) in (1..).zip(certificates(pem)?) {
        roots
            .add(certificate)
            .map_err(|error| format!("certificate {number} cannot be a CA: {error}"))?;
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
        return Err("holds an encrypted key; `openssl pkey` takes the encryption off".to_owned());
    }
    // The library's own words may quote what it stumbled over, which could be part of the key.
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
        let nothing = matches!(error, pem::Error::NoItemsFound);
        let words = if nothing {
            "holds no key: -----BEGIN PRIVATE KEY----- is missing"
        } else {
            "is not PEM"
        };
        words.to_owned()
    })
}
