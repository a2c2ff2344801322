//! Certificates, and the broker's side of TLS.

use std::{fs, path::Path, sync::Arc};

use kafka_optimizer::security::IdentityFiles;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use tokio_rustls::TlsAcceptor;

/// A certificate authority of one test.
pub(crate) struct CertificateAuthority(CertifiedIssuer<'static, KeyPair>);

#[derive(Clone, Copy, Debug)]
pub(crate) enum Validity {
    Now,
    Over,
    Later,
}

/// Whether a broker requires a client certificate.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ClientCertificates {
    Anybody,
    Known,
}

struct LeafCertificate {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl CertificateAuthority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);

        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.as_ref().pem()
    }

    fn leaf(&self, name: &str, life: Validity) -> LeafCertificate {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let year = |it| date_time_ymd(it, 1, 1);
        (params.not_before, params.not_after) = match life {
            Validity::Now => (year(2000), year(2200)),
            Validity::Over => (year(2000), year(2001)),
            Validity::Later => (year(2199), year(2200)),
        };
        let key = KeyPair::generate().unwrap();

        LeafCertificate { certificate: params.signed_by(&key, &self.0).unwrap(), key }
    }

    /// The broker's side, with a certificate for `name`.
    pub(crate) fn broker(
        &self,
        name: &str,
        life: Validity,
        clients: ClientCertificates,
    ) -> TlsAcceptor {
        let leaf = self.leaf(name, life);
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = match clients {
            ClientCertificates::Anybody => config.with_no_client_auth(),
            ClientCertificates::Known => {
                let mut roots = RootCertStore::empty();
                roots.add(self.0.as_ref().der().clone()).unwrap();
                let roots = Arc::new(roots);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();

                config.with_client_cert_verifier(verifier.unwrap())
            }
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf.key.serialize_der()));
        let config = config.with_single_cert(vec![leaf.certificate.der().clone()], key).unwrap();

        TlsAcceptor::from(Arc::new(config))
    }

    /// Writes a client certificate and its key to `dir`, and replaces existing files.
    pub(crate) fn client(&self, dir: &Path) -> IdentityFiles {
        let leaf = self.leaf("client", Validity::Now);
        let (cert_file, key_file) = (dir.join("client.pem"), dir.join("client.key"));
        fs::write(&cert_file, leaf.certificate.pem()).unwrap();
        fs::write(&key_file, leaf.key.serialize_pem()).unwrap();

        IdentityFiles { cert_file, key_file }
    }
}
