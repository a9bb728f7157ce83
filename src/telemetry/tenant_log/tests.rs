//! Tenants' files: nothing lost, nothing mixed, nothing outside of the folder, bounded.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::rotating::TenantFiles;
use crate::config::{Loader, LoggingSettings};
use crate::telemetry::fields::Fields;
use crate::telemetry::line::Line;
use crate::telemetry::subscriber;
use crate::telemetry::tests::Captured;

fn settings(dir: &Path) -> LoggingSettings {
    let mut settings = Loader::new().load().unwrap().logging;
    settings.dir = dir.to_owned();
    settings
}

/// Runs `work` with tenant files in `dir`, and waits until they are written.
fn logged(settings: &LoggingSettings, work: impl FnOnce()) {
    let (subscriber, guard) = subscriber(settings, std::io::sink()).unwrap();
    tracing::subscriber::with_default(subscriber, work);
    drop(guard);
}

fn files(dir: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read_to_string(path).unwrap());
            }
        }
    }
    found.remove("logs/tenants/.rotation.lock");
    found.remove("tenants/.rotation.lock");
    found
}

/// Open files of this process below `dir`.
fn open_files(dir: &Path) -> usize {
    let links = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = links.filter_map(|link| std::fs::read_link(link.unwrap().path()).ok());
    targets.filter(|target: &PathBuf| target.starts_with(dir)).count()
}

#[test]
fn two_hundred_tenants_share_eight_open_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path());
    settings.tenant_open_files = 8;
    let (subscriber, guard) = subscriber(&settings, std::io::sink()).unwrap();
    let mut most_open = 0;
    tracing::subscriber::with_default(subscriber, || {
        for round in 0..3 {
            for tenant in 0..200 {
                let key = format!("tenant-{tenant}");
                let _span = tracing::info_span!("request", tenant = %key).entered();
                tracing::info!(round, owner = key, "event");
            }
            most_open = most_open.max(open_files(dir.path()));
        }
    });
    drop(guard);
    assert!(
        (1..=9).contains(&most_open),
        "{most_open} files open (8 and, while rotating, the lock)"
    );
    assert_eq!(open_files(dir.path()), 0);
    let files = files(dir.path());
    assert_eq!(files.len(), 200);
    for (name, text) in files {
        let key = name
            .strip_prefix("tenants/")
            .unwrap()
            .strip_suffix(".log")
            .unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 3, "{name}");
        for (round, line) in lines.iter().enumerate() {
            assert_eq!(
                (&line["round"], &line["owner"]),
                (&round.into(), &key.into()),
                "{name}"
            );
        }
    }
}

#[test]
fn interleaved_tenants_never_mix() {
    let dir = tempfile::tempdir().unwrap();
    logged(&settings(dir.path()), || {
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        let work = |key: &'static str| {
            let dispatch = dispatch.clone();
            std::thread::spawn(move || {
                tracing::dispatcher::with_default(&dispatch, || {
                    for number in 0..2000 {
                        let span = tracing::info_span!("request", tenant = tracing::field::Empty);
                        let _span = span.enter();
                        tracing::info!("before the tenant is known");
                        span.record("tenant", key);
                        let _query = tracing::info_span!("query").entered();
                        tracing::info!(number, owner = key, "event");
                    }
                });
            })
        };
        let threads = [work("acme"), work("zenith")];
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    let files = files(dir.path());
    assert_eq!(
        files.keys().collect::<Vec<_>>(),
        ["tenants/acme.log", "tenants/zenith.log"]
    );
    for (own, other) in [("acme", "zenith"), ("zenith", "acme")] {
        let text = &files[&format!("tenants/{own}.log")];
        assert_eq!(text.lines().count(), 2000);
        assert!(!text.contains(other) && !text.contains("before the tenant"));
    }
}

#[test]
fn the_innermost_tenant_has_the_event() {
    let dir = tempfile::tempdir().unwrap();
    logged(&settings(dir.path()), || {
        let _outer = tracing::info_span!("move", tenant = "first").entered();
        {
            let _inner = tracing::info_span!("copy", tenant = "second").entered();
            tracing::info!("inner event");
        }
        tracing::info!("outer event");
        tracing::info!(parent: None, tenant = "third", "event of no span");
    });
    let files = files(dir.path());
    assert_eq!(files.len(), 2);
    assert!(files["tenants/first.log"].contains("outer event"));
    assert!(files["tenants/second.log"].contains("inner event"));
    assert_eq!(files["tenants/first.log"].lines().count(), 1);
}

#[test]
fn a_text_that_is_no_key_makes_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let bad = [
        "../x",
        "../../etc/passwd",
        "/tmp/x",
        "a/b",
        "ab",
        "Acme",
        "acme.log",
        "acme\0",
        "çao",
        "",
        "a b c",
    ];
    let long = "a".repeat(41);
    logged(&settings(&dir.path().join("logs")), || {
        for key in bad.iter().copied().chain([long.as_str()]) {
            let _span = tracing::info_span!("request", tenant = key).entered();
            tracing::info!("event");
            let _good_outside = tracing::info_span!("request", tenant = "outer").entered();
            let _bad_inside = tracing::info_span!("inner", tenant = key).entered();
            tracing::info!("event");
        }
        let _number = tracing::info_span!("request", tenant = 12345).entered();
        tracing::info!("event");
    });
    assert_eq!(files(dir.path()), BTreeMap::new());
}

#[test]
fn full_files_are_rotated_and_the_oldest_go() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path());
    settings.tenant_max_bytes = 4096;
    settings.tenant_keep = 3;
    logged(&settings, || {
        let _span = tracing::info_span!("request", tenant = "acme").entered();
        for number in 0..500 {
            tracing::info!(number, "event");
        }
    });
    let files = files(dir.path());
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "tenants/acme.log",
            "tenants/acme.log.1",
            "tenants/acme.log.2",
            "tenants/acme.log.3"
        ]
    );
    assert!(files.values().all(|text| text.len() <= 4096));
    let mut numbers = Vec::new();
    for name in names.iter().skip(1).rev().chain(names.first()) {
        for line in files[*name].lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            numbers.push(line["number"].as_u64().unwrap());
        }
    }
    let newest: Vec<u64> = (numbers[0]..500).collect();
    assert_eq!(numbers, newest, "the newest lines, in order, without a gap");
}

#[test]
fn several_processes_may_share_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path());
    settings.tenant_max_bytes = 4096;
    settings.tenant_keep = 100;
    let tenants = dir.path().join("tenants");
    let tenant: Arc<str> = "acme".into();
    let mut processes: Vec<_> = (0..3)
        .map(|_| TenantFiles::new(&settings, &tenants).unwrap())
        .collect();
    for number in 0..900 {
        let process = &mut processes[number % 3];
        process.append(&tenant, format!("line {number:0>40}\n").as_bytes());
        if number % 7 == 0 {
            process.flush();
        }
    }
    drop(processes);
    let mut lines: Vec<String> = files(dir.path())
        .values()
        .flat_map(|text| text.lines())
        .map(str::to_owned)
        .collect();
    lines.sort();
    let expected: Vec<String> = (0..900).map(|number| format!("line {number:0>40}")).collect();
    assert_eq!(lines, expected);
}

#[test]
fn a_deleted_file_is_made_anew_and_links_are_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let tenants = dir.path().join("tenants");
    let mut written = TenantFiles::new(&settings, &tenants).unwrap();
    let tenant: Arc<str> = "acme".into();
    let path = tenants.join("acme.log");
    written.append(&tenant, b"one\n");
    written.flush();
    assert!(written.take_lost().is_empty());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o137, 0);
    std::fs::remove_file(&path).unwrap();
    written.append(&tenant, b"two\n");
    written.flush();
    assert!(written.take_lost().is_empty());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "two\n");
    let elsewhere = dir.path().join("elsewhere");
    std::os::unix::fs::symlink(&elsewhere, tenants.join("evil.log")).unwrap();
    written.append(&"evil".into(), b"x\n");
    assert!(matches!(written.take_lost().as_slice(), [lost] if &*lost.tenant == "evil" && lost.lines == 1));
    assert!(!elsewhere.exists());
}

#[test]
fn a_tenant_that_cannot_be_written_does_not_disturb_the_others() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("tenants/broken.log")).unwrap();
    let console = Captured::default();
    let (subscriber, guard) = subscriber(&settings(dir.path()), console.clone()).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        for key in ["before", "broken", "after", "broken"] {
            let _span = tracing::info_span!("request", tenant = key).entered();
            tracing::info!("event");
        }
    });
    drop(guard);
    for key in ["before", "after"] {
        let text = std::fs::read_to_string(dir.path().join(format!("tenants/{key}.log"))).unwrap();
        assert_eq!(text.lines().count(), 1);
    }
    assert_eq!(console.text().lines().count(), 4, "{}", console.text());
}

#[test]
fn a_full_queue_drops_and_counts_instead_of_waiting() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let (queue, _lines) = std::sync::mpsc::sync_channel(2);
    let log = super::TenantLog { queue };
    let line = Line {
        timestamp: String::new(),
        level: tracing::Level::INFO,
        target: String::new(),
        spans: String::new(),
        fields: Fields::default(),
        tenant: Some("acme".into()),
    };
    metrics::with_local_recorder(&recorder, || (0..5).for_each(|_| log.write(&line)));
    let text = recorder.handle().render();
    assert!(
        text.contains("helixai_log_lines_lost_total{reason=\"queue_full\"} 3"),
        "{text}"
    );
}
