//! The HTTP client, made from the content of the files that its options name.

use std::{sync::Arc, time::Duration};

use reqwest::{
    Client, Proxy, RequestBuilder, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};

use crate::security::{FileStamps, HttpAuthorization, HttpOptions, Secret};

/// A client with the content of all files.
#[derive(Clone, Debug)]
pub(super) struct LoadedClient {
    stamps: FileStamps,
    pub(super) client: Client,
    secret: Option<Secret>,
}

impl LoadedClient {
    /// Reads the files and makes a client. Blocks.
    ///
    /// # Errors
    ///
    /// What cannot be used, in words without a secret.
    pub(super) fn load(
        options: &HttpOptions,
        url: &Url,
        timeout: Duration,
    ) -> Result<Self, String> {
        let stamps = options.stamps();
        let secret = options.read_secret()?;

        // Fails if it is installed already: the process has one provider.
        drop(rustls::crypto::ring::default_provider().install_default());

        // A redirect could send the credentials to another host.
        let mut builder = Client::builder()
            .timeout(timeout)
            .redirect(Policy::none())
            .no_proxy()
            .default_headers(header_map(options, url)?);
        if let Some(proxy_url) = &options.proxy_url {
            let proxy = Proxy::all(proxy_url).map_err(|_| "proxy_url is not a URL".to_owned())?;
            builder = builder.proxy(proxy);
        }

        if url.scheme() != "https" {
            // Plain HTTP must work on a machine without CA certificates.
            builder = builder.tls_certs_only(std::iter::empty());
        } else if let Some(tls) = options.read_tls()? {
            builder = builder.tls_backend_preconfigured((*tls.config).clone());
        }

        if let (Some(name), Some(host)) = (&options.tls.server_name, url.host_str()) {
            let resolver = CertificateName { name: name.clone(), host: host.to_owned() };
            builder = builder.dns_resolver(Arc::new(resolver));
        }

        let client = builder.build().map_err(|error| error.without_url().to_string())?;
        Ok(Self { stamps, client, secret })
    }

    /// Whether no file has changed since. Blocks.
    pub(super) fn is_current(&self, options: &HttpOptions) -> bool {
        options.stamps() == self.stamps
    }

    pub(super) fn authorize(
        &self,
        options: &HttpOptions,
        request: RequestBuilder,
    ) -> RequestBuilder {
        let Some(secret) = &self.secret else { return request };
        match &options.authorization {
            None => request,
            Some(HttpAuthorization::Basic(it)) => {
                request.basic_auth(&it.username, Some(secret.reveal()))
            }
            Some(HttpAuthorization::Token { scheme, .. }) => {
                let value = HeaderValue::from_str(&format!("{scheme} {}", secret.reveal()));
                let Ok(mut value) = value else { return request };
                value.set_sensitive(true);

                request.header(AUTHORIZATION, value)
            }
        }
    }
}

fn header_map(options: &HttpOptions, url: &Url) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &options.headers {
        let unusable = || format!("the header `{name}` cannot be sent");
        let name = HeaderName::try_from(name.as_str()).map_err(|_| unusable())?;
        headers.insert(name, HeaderValue::from_str(value).map_err(|_| unusable())?);
    }

    // Requests go to the name in the certificate, see `CertificateName`.
    if let (Some(_), Some(host)) = (&options.tls.server_name, url.host_str()) {
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let value = HeaderValue::from_str(&host);
        headers.insert(HOST, value.map_err(|_| "the host cannot be sent".to_owned())?);
    }

    Ok(headers)
}

/// Finds the server under the name that its certificate has.
#[derive(Debug)]
struct CertificateName {
    name: String,
    /// The host of the configured URL.
    host: String,
}

impl Resolve for CertificateName {
    fn resolve(&self, name: Name) -> Resolving {
        let host = if name.as_str() == self.name { &self.host } else { name.as_str() };
        let host = host.to_owned();
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
