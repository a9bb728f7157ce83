//! The program dies as by `kill -9` between a file and its row; nothing is lost, and what is left over is removed.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};

use super::{add, files, texts, vehicle};
use crate::helpers::{TestApp, TestTenant, pictures, random_key};

const SIGKILL: i32 = 9;

/// Another process on the same database and folder, which dies at `point`.
fn dying(app: &TestApp, key: &str, point: &str) -> (Child, std::net::SocketAddr) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_helixai"))
        .arg("serve")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .env_clear()
        .env("HELIXAI__DATABASE__URL", app.test.db().url())
        .env("HELIXAI__PLATFORM__KEY", key)
        .env("HELIXAI__SERVER__PORT", "0")
        .env("HELIXAI__SERVER__BASE_DOMAIN", "helixai.test")
        .env("HELIXAI__METRICS__BIND", "")
        .env("HELIXAI__LOGGING__TENANT_FILES", "false")
        .env("HELIXAI__STORAGE__FOLDER", &app.test.settings.storage.folder)
        .env("HELIXAI_KILL_AT", point)
        .spawn()
        .expect("the program runs");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    let address = line
        .split_whitespace()
        .nth(2)
        .and_then(|address| address.parse().ok());
    let address = address.unwrap_or_else(|| panic!("no address in {line:?}"));
    (child, address)
}

fn must_be_dead(mut child: Child) {
    assert_eq!(child.wait().expect("its end").signal(), Some(SIGKILL));
}

/// What nothing names is removed, in both processes at once.
async fn swept(app: &TestApp, tenant: &TestTenant) {
    files::age(app, tenant);
    let (one, two) = (app.test.platform.sweeper(), app.test.second().await.sweeper());
    let (one, two) = tokio::join!(one.sweep(), two.sweep());
    assert!(one.expect("swept") + two.expect("swept") >= 1);
    assert_eq!(files::stored(app, tenant).await, files::rows(app, tenant).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_dangles_and_nothing_is_lost() {
    let key = random_key();
    let app = TestApp::builder().set("platform.key", &key).start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let path = vehicle(&app, &garage, "published").await;
    let (upload, photo) = (format!("{path}/photos"), pictures::photo());

    // Between the file and the row: there is no photo, and the repeated request makes one.
    let (child, address) = dying(&app, &key, "photos.kept");
    let call = || {
        app.post(&upload)
            .by(&garage)
            .idempotency_key("first")
            .photos(&[&photo])
    };
    assert!(call().at(address).try_send().await.is_err(), "no answer");
    must_be_dead(child);
    assert_eq!(files::rows(&app, &garage).await, [""; 0]);
    assert_eq!(files::stored(&app, &garage).await.len(), 1);
    call().await.expect(201);
    assert_eq!(files::rows(&app, &garage).await.len(), 1);
    assert_eq!(files::stored(&app, &garage).await.len(), 2);
    swept(&app, &garage).await;

    // Between the end of the rows and that of the files: the vehicle is gone, and so are its files in the end.
    let kept = vehicle(&app, &garage, "published").await;
    let kept = texts(&add(&app, &garage, &kept, 1).await, "id");
    let (child, address) = dying(&app, &key, "photos.rows_gone");
    let deleted = app.delete(&path).by(&garage).at(address).try_send().await;
    assert!(deleted.is_err(), "no answer");
    must_be_dead(child);
    app.get(&path).by(&garage).await.problem(404, "not_found");
    assert_eq!(files::rows(&app, &garage).await, kept);
    assert_eq!(files::stored(&app, &garage).await.len(), 2);
    swept(&app, &garage).await;
    assert_eq!(files::stored(&app, &garage).await, kept);
    app.get(&format!("/photos/{}", kept[0]))
        .of(&garage)
        .await
        .expect(200);
}
