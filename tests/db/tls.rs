//! A PostgreSQL beyond a network is spoken to in TLS, by all drivers alike, and only if its certificate is trusted.

use std::str::FromStr as _;
use std::sync::Arc;

use helixai::config::Settings;
use helixai::domain::clock::Clock;
use helixai::platform::Platform;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_postgres::Config;
use tokio_postgres::config::Host;
use tokio_rustls::TlsAcceptor;

use super::queries::{count_contacts, insert_contact};
use crate::helpers::{TestPlatform, tenant_db_of};

/// What a client sends that wants TLS: its length and a number that no version of the protocol has.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Ends TLS before the server of `url`, and lets nobody in who does not speak it. Answers its port.
async fn start_tls(url: &str, certified: &CertifiedKey<rcgen::KeyPair>) -> u16 {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = Config::from_str(url).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (acceptor, server) = (acceptor.clone(), server.clone());
            tokio::spawn(async move {
                let mut asked = [0; 8];
                client.read_exact(&mut asked).await?;
                if asked != SSL_REQUEST {
                    return Ok(());
                }
                client.write_all(b"S").await?;
                let mut client = acceptor.accept(client).await?;
                let port = server.get_ports().first().copied().unwrap_or(5432);
                match &server.get_hosts()[0] {
                    Host::Unix(folder) => {
                        let path = folder.join(format!(".s.PGSQL.{port}"));
                        copy_bidirectional(&mut client, &mut UnixStream::connect(path).await?).await
                    }
                    Host::Tcp(host) => {
                        let mut server = TcpStream::connect((host.as_str(), port)).await?;
                        copy_bidirectional(&mut client, &mut server).await
                    }
                }?;
                Ok::<_, std::io::Error>(())
            });
        }
    });
    port
}

/// The settings of `test` for the same database over the network.
fn over_network(test: &TestPlatform, port: u16, mode: &str) -> Settings {
    let config = Config::from_str(&test.db().url()).unwrap();
    let password = config.get_password().map_or(String::new(), |password| {
        format!(":{}", std::str::from_utf8(password).unwrap())
    });
    let (user, database) = (config.get_user().unwrap(), config.get_dbname().unwrap());
    let mut settings = test.settings.clone();
    settings.database.url =
        Some(format!("postgres://{user}{password}@localhost:{port}/{database}?sslmode={mode}").into());
    settings
}

#[tokio::test]
async fn a_tenant_is_served_over_tls_by_a_server_that_is_trusted() {
    let test = TestPlatform::start().await;
    let garage = test.onboard("garage-alpha", "cars").await;
    let certified = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let port = start_tls(&test.db().url(), &certified).await;

    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, certified.cert.pem()).unwrap();

    for mode in ["prefer", "require"] {
        let mut trusting = over_network(&test, port, mode);
        trusting.database.ca_file = Some(ca_file.clone());
        let platform = Platform::start(trusting, Clock::system()).await.unwrap();
        let db = tenant_db_of(&platform, &garage.tenant_key).await;
        for _ in 0..3 {
            let ana = insert_contact(uuid::Uuid::now_v7(), "Ana");
            db.run(&test.system(), ana).await.unwrap();
        }
        platform.close().await;
    }
    let db = test.tenant_db(&garage).await;
    assert_eq!(db.run(&test.system(), count_contacts()).await.unwrap().output, 6);

    let stranger = over_network(&test, port, "require");
    assert!(
        Platform::start(stranger, Clock::system()).await.is_err(),
        "nobody vouches for it"
    );
    let plain = over_network(&test, port, "disable");
    assert!(
        Platform::start(plain, Clock::system()).await.is_err(),
        "it takes TLS only"
    );
}
