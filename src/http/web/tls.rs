//! Builds rustls's server configuration from `tls_server_config`.

use std::sync::Arc;

use rustls::{
    RootCertStore, ServerConfig, ServerConnection, SupportedCipherSuite, SupportedProtocolVersion,
    crypto::{
        CryptoProvider,
        ring::{self, cipher_suite as suites, kx_group},
    },
    pki_types::CertificateDer,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    version,
};

use super::{
    VerifiedClient, WebError,
    client_certs::{AnyClientVerifier, SanVerifier},
    files::HashingReader,
};
use crate::{
    config::web::{Cipher, ClientAuth, Curve, Pem, TlsConfig, TlsVersion},
    security::pem,
};

const CERTIFICATE: &str = "tls_server_config.cert_file";
const KEY: &str = "tls_server_config.key_file";
const CLIENT_CA: &str = "tls_server_config.client_ca_file";

#[derive(Clone, Debug)]
pub(in crate::http) struct ServerTls {
    pub(in crate::http) config: Arc<ServerConfig>,
    clients: ClientAuth,
}

impl ServerTls {
    pub(super) fn new(config: &TlsConfig, reader: &mut HashingReader) -> Result<Self, WebError> {
        let chain = certificates(CERTIFICATE, &config.certificate, reader)?;
        let key = pem::key(&read(KEY, &config.key, reader)?)
            .map_err(|problem| unusable(KEY, &problem))?;

        let provider = Arc::new(provider(config));
        let versions: Vec<&SupportedProtocolVersion> =
            config.versions.iter().map(|it| version_of(*it)).collect();
        let verifier = verifier(config, &provider, reader)?;
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions)
            .map_err(|error| unusable("tls_server_config", &error))?;

        let builder = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };

        let mut made =
            builder.with_single_cert(chain, key).map_err(|error| unusable(KEY, &error))?;
        made.ignore_client_order = config.prefer_server_cipher_suites;
        made.alpn_protocols = vec![b"http/1.1".to_vec()];

        Ok(Self { config: Arc::new(made), clients: config.clients })
    }

    pub(super) fn verifies_clients(&self) -> bool {
        self.clients.verifies()
    }

    /// The client's identity; `None` without a verified certificate.
    pub(in crate::http) fn verified_client(
        &self,
        connection: &ServerConnection,
    ) -> Option<VerifiedClient> {
        let certificate = connection.peer_certificates()?.first()?;
        self.clients.verifies().then(|| VerifiedClient::of(certificate))
    }
}

fn unusable(key: &'static str, error: &dyn std::fmt::Display) -> WebError {
    WebError::ServerTls { key, problem: error.to_string() }
}

fn read(key: &'static str, pem: &Pem, reader: &mut HashingReader) -> Result<Vec<u8>, WebError> {
    match pem {
        Pem::Inline(text) => Ok(text.reveal().as_bytes().to_vec()),
        Pem::File(path) => {
            reader.read(path).map_err(|source| WebError::Read { key, path: path.clone(), source })
        }
    }
}

fn certificates(
    key: &'static str,
    text: &Pem,
    reader: &mut HashingReader,
) -> Result<Vec<CertificateDer<'static>>, WebError> {
    pem::certificates(&read(key, text, reader)?).map_err(|problem| unusable(key, &problem))
}

fn verifier(
    config: &TlsConfig,
    provider: &Arc<CryptoProvider>,
    reader: &mut HashingReader,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, WebError> {
    let algorithms = provider.signature_verification_algorithms;
    let any_client = |mandatory| -> Arc<dyn ClientCertVerifier> {
        Arc::new(AnyClientVerifier { mandatory, algorithms })
    };

    let inner = match (config.clients, &config.client_ca) {
        (ClientAuth::None, _) => return Ok(None),
        (ClientAuth::Request, _) => any_client(false),
        (ClientAuth::RequireAny, _) => any_client(true),
        (ClientAuth::VerifyIfGiven, Some(authority)) => {
            ca_verifier(authority, false, provider, reader)?
        }
        (ClientAuth::RequireAndVerify, Some(authority)) => {
            ca_verifier(authority, true, provider, reader)?
        }
        (ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify, None) => {
            return Err(unusable(CLIENT_CA, &"no client CA is configured"));
        }
    };

    if config.client_sans.is_empty() {
        return Ok(Some(inner));
    }

    Ok(Some(Arc::new(SanVerifier { inner, names: config.client_sans.clone() })))
}

fn ca_verifier(
    authority: &Pem,
    mandatory: bool,
    provider: &Arc<CryptoProvider>,
    reader: &mut HashingReader,
) -> Result<Arc<dyn ClientCertVerifier>, WebError> {
    let mut roots = RootCertStore::empty();
    let (added, _ignored) =
        roots.add_parsable_certificates(certificates(CLIENT_CA, authority, reader)?);
    if added == 0 {
        return Err(unusable(CLIENT_CA, &"it contains no usable CA certificate"));
    }

    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = if mandatory { builder } else { builder.allow_unauthenticated() };

    builder.build().map_err(|error| unusable(CLIENT_CA, &error))
}

fn provider(config: &TlsConfig) -> CryptoProvider {
    let mut provider = ring::default_provider();
    if !config.ciphers.is_empty() {
        // As in Go: `cipher_suites` only selects suites of TLS 1.2.
        provider.cipher_suites.retain(|it| it.tls13().is_some());
        let listed = config.ciphers.iter().filter(|it| it.version() == TlsVersion::Tls12);
        provider.cipher_suites.extend(listed.map(|it| suite_of(*it)));
    }

    if !config.curves.is_empty() {
        provider.kx_groups = config
            .curves
            .iter()
            .map(|it| match it {
                Curve::P256 => kx_group::SECP256R1,
                Curve::P384 => kx_group::SECP384R1,
                Curve::X25519 => kx_group::X25519,
            })
            .collect();
    }

    provider
}

fn version_of(version: TlsVersion) -> &'static SupportedProtocolVersion {
    match version {
        TlsVersion::Tls12 => &version::TLS12,
        TlsVersion::Tls13 => &version::TLS13,
    }
}

fn suite_of(cipher: Cipher) -> SupportedCipherSuite {
    match cipher {
        Cipher::Aes128 => suites::TLS13_AES_128_GCM_SHA256,
        Cipher::Aes256 => suites::TLS13_AES_256_GCM_SHA384,
        Cipher::Chacha20 => suites::TLS13_CHACHA20_POLY1305_SHA256,
        Cipher::EcdsaAes128 => suites::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        Cipher::EcdsaAes256 => suites::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        Cipher::EcdsaChacha20 => suites::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        Cipher::RsaAes128 => suites::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        Cipher::RsaAes256 => suites::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        Cipher::RsaChacha20 => suites::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    }
}
