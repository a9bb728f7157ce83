//! Opening connections: address, TLS, and logins whose passwords are derived and stored nowhere.

use std::fmt;
use std::future::poll_fn;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_postgres::config::{ChannelBinding, SslNegotiation, TargetSessionAttrs};
use tokio_postgres::{AsyncMessage, Client, Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::DbError;
use super::stream::Stream;
use crate::domain::platform_key::PlatformKey;

/// A connection of an administrator, outside of any pool. Opened for one operation.
pub type AdminClient = Client;

/// A database's address that cannot be used. Shows nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}: give it as postgres://user:password@host:port/database")]
pub struct AddressError(&'static str);

impl From<AddressError> for DbError {
    fn from(error: AddressError) -> Self {
        Self::Other {
            code: "address".to_owned(),
            message: error.to_string(),
        }
    }
}

/// Knows how to reach one database, as its administrator or as one of the program's logins.
#[derive(Clone)]
pub struct Connector {
    admin: Config,
    tls: MakeRustlsConnect,
    roots: Vec<CertificateDer<'static>>,
    key: PlatformKey,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

impl Connector {
    /// Reads the administrator's address.
    ///
    /// # Errors
    /// When the address cannot be parsed or names no database.
    pub fn new(
        url: &SecretString,
        connect_timeout: Duration,
        roots: &[CertificateDer<'static>],
        key: PlatformKey,
    ) -> Result<Self, AddressError> {
        let invalid = AddressError;
        let mut admin = Config::from_str(url.expose_secret()).map_err(|_| invalid("cannot be parsed"))?;
        if admin.get_dbname().is_none() {
            return Err(invalid("names no database"));
        }
        // The two drivers choose among several hosts differently; `localhost/db?host=/folder` is two of them.
        if admin.get_hosts().len() != 1 || admin.get_ports().len() > 1 {
            return Err(invalid("must name exactly one host"));
        }
        // What the lanes' own connections would pass over in silence.
        if admin.get_channel_binding() == ChannelBinding::Require {
            return Err(invalid(
                "asks for channel_binding=require, which this program cannot do",
            ));
        }
        if admin.get_ssl_negotiation() == SslNegotiation::Direct {
            return Err(invalid(
                "asks for sslnegotiation=direct, which this program cannot do",
            ));
        }
        if admin.get_target_session_attrs() != TargetSessionAttrs::Any {
            return Err(invalid(
                "asks for target_session_attrs, but it names one host: name the one that takes writes",
            ));
        }
        admin
            .connect_timeout(connect_timeout)
            .keepalives_idle(Duration::from_secs(30));
        let mut store = rustls::RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        for certificate in roots {
            store
                .add(certificate.clone())
                .map_err(|_| invalid("has an unreadable CA certificate"))?;
        }
        let tls =
            rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(|_| invalid("cannot be used with TLS"))?
                .with_root_certificates(store)
                .with_no_client_auth();
        Ok(Self {
            admin,
            tls: MakeRustlsConnect::new(tls),
            roots: roots.to_vec(),
            key,
        })
    }

    /// The certificates that are trusted besides the public ones: for the other databases of the same platform.
    pub fn roots(&self) -> &[CertificateDer<'static>] {
        &self.roots
    }

    /// The configuration of one of the program's logins, with its derived password.
    pub fn login(&self, role: &str) -> Config {
        let mut config = self.admin.clone();
        config
            .user(role)
            .password(self.password(role).expose_secret())
            .application_name(role);
        config
    }

    /// The password of one of the program's logins: HKDF of the platform key over the role's name.
    pub fn password(&self, role: &str) -> SecretString {
        self.key.login_password(role)
    }

    /// The address of the same database for `sqlx`, as one of the program's logins.
    pub fn sqlx_options(&self, role: &str) -> sqlx::postgres::PgConnectOptions {
        let mut options = sqlx::postgres::PgConnectOptions::new_without_pgpass()
            .username(role)
            .password(self.password(role).expose_secret())
            .application_name(role)
            .ssl_mode(match self.admin.get_ssl_mode() {
                tokio_postgres::config::SslMode::Disable => sqlx::postgres::PgSslMode::Disable,
                tokio_postgres::config::SslMode::Require => sqlx::postgres::PgSslMode::VerifyFull,
                _ => sqlx::postgres::PgSslMode::Prefer,
            });
        if let Some(database) = self.admin.get_dbname() {
            options = options.database(database);
        }
        if !self.roots.is_empty() {
            options =
                options.ssl_root_cert_from_pem(self.roots.iter().map(pem).collect::<String>().into_bytes());
        }
        if let Some(port) = self.admin.get_ports().first() {
            options = options.port(*port);
        }
        match self.admin.get_hosts().first() {
            Some(tokio_postgres::config::Host::Tcp(host)) => options.host(host),
            #[cfg(unix)]
            Some(tokio_postgres::config::Host::Unix(folder)) => options.socket(folder),
            None => options,
        }
    }

    /// The administrator's address as another server's `create subscription` takes it. Holds the password.
    pub fn subscription_address(&self) -> SecretString {
        let mut text = String::new();
        let mut add = |name: &str, value: &str| {
            let value = value.replace('\\', "\\\\").replace('\'', "\\'");
            text.push_str(&format!("{name}='{value}' "));
        };
        match self.admin.get_hosts().first() {
            Some(tokio_postgres::config::Host::Tcp(host)) => add("host", host),
            #[cfg(unix)]
            Some(tokio_postgres::config::Host::Unix(folder)) => add("host", &folder.to_string_lossy()),
            None => {}
        }
        if let Some(port) = self.admin.get_ports().first() {
            add("port", &port.to_string());
        }
        add("dbname", self.database());
        add("user", self.admin.get_user().unwrap_or_default());
        if let Some(password) = self.admin.get_password() {
            add("password", &String::from_utf8_lossy(password));
        }
        add(
            "sslmode",
            match self.admin.get_ssl_mode() {
                tokio_postgres::config::SslMode::Disable => "disable",
                tokio_postgres::config::SslMode::Require => "require",
                _ => "prefer",
            },
        );
        add("connect_timeout", "10");
        text.into()
    }

    /// The database's name.
    pub fn database(&self) -> &str {
        self.admin.get_dbname().unwrap_or_default()
    }

    /// Opens a connection as the administrator.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn administrator(&self) -> Result<AdminClient, DbError> {
        let mut config = self.admin.clone();
        config.application_name("helixai administrator");
        Ok(self.open(&config).await?)
    }

    /// Opens a connection of the login `role`, outside of any pool.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn single(&self, role: &str) -> Result<Client, DbError> {
        Ok(self.open(&self.login(role)).await?)
    }

    /// Opens a connection of the login `role` for a pool that speaks on it itself.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn stream(&self, role: &str) -> Result<Stream, DbError> {
        Stream::open(&self.login(role), &self.tls).await
    }

    /// Opens a connection of the login `role` that hands on what it is notified of, in order; it ends when either of both is dropped.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn notified(&self, role: &str) -> Result<(Client, UnboundedReceiver<String>), DbError> {
        let (client, mut connection) = self.login(role).connect(self.tls.clone()).await?;
        let (notices, heard) = unbounded_channel();
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                let AsyncMessage::Notification(notice) = message else {
                    continue;
                };
                if notices.send(notice.payload().to_owned()).is_err() {
                    return;
                }
            }
        });
        Ok((client, heard))
    }

    async fn open(&self, config: &Config) -> Result<Client, Error> {
        let (client, connection) = config.connect(self.tls.clone()).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a database connection ended");
            }
        });
        Ok(client)
    }
}

/// `sqlx` takes certificates as text.
fn pem(certificate: &CertificateDer<'_>) -> String {
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        STANDARD.encode(certificate)
    )
}
