//! A snapshot that only the platform's key opens.

use helixai::domain::platform_key::PlatformKey;
use helixai::tenancy::keeper::KeeperError;
use helixai::tenancy::snapshot::SnapshotError;
use sha2::{Digest as _, Sha256};

use super::damage::state;
use super::{Case, content, kept};

#[tokio::test]
async fn an_encrypted_snapshot_is_recognised_and_comes_back() {
    let case = Case::start().await;
    let schema = case.garage("garage").await;
    let admin = case.test.admin().await;
    let before = kept(&admin, &schema).await;
    let made = case.backup_encrypted("garage", "a").await;
    let bytes = std::fs::read(case.file("a")).unwrap();
    assert!(made.encrypted);
    assert_eq!(made.bytes, bytes.len() as u64);
    assert_eq!(made.sha256[..], Sha256::digest(&bytes)[..]);
    let shown = |what: &str| bytes.windows(what.len()).any(|part| part == what.as_bytes());
    assert!(!shown("garage") && !shown("HXSNAP"));

    admin
        .batch_execute(&format!("delete from {schema}.messages"))
        .await
        .unwrap();
    assert!(case.restore("a", None).await.unwrap().over);
    assert_eq!(kept(&admin, &schema).await, before);
    case.delete("garage").await;
    case.restore("a", None).await.unwrap();
    assert_eq!(kept(&admin, &schema).await, before);
    assert!(case.restore("a", Some("copy")).await.unwrap().is_copy);
    case.sound().await;
}

#[tokio::test]
async fn an_encrypted_file_that_is_cut_off_altered_or_anothers_changes_nothing() {
    let case = Case::start().await;
    let schema = case.garage("garage").await;
    case.backup_encrypted("garage", "good").await;
    let good = std::fs::read(case.file("good")).unwrap();
    let rows = content(&case.test.admin().await, &schema).await;
    let before = state(&case).await;
    let mut bad: Vec<(String, Vec<u8>)> = Vec::new();
    for part in 0..20 {
        let at = good.len() * part / 20;
        bad.push((format!("cut at {at}"), good[..at].to_vec()));
        let mut altered = good.clone();
        altered[at] ^= 0x20;
        bad.push((format!("altered at {at}"), altered));
    }
    bad.push(("one byte short".to_owned(), good[..good.len() - 1].to_vec()));
    bad.push(("one byte more".to_owned(), [&good[..], b"\0"].concat()));
    for (what, bytes) in bad {
        std::fs::write(case.file("bad"), bytes).unwrap();
        for key in [None, Some("copy")] {
            match case.restore("bad", key).await {
                Err(KeeperError::Snapshot(SnapshotError::Io(error))) => panic!("{what}: {error}"),
                Err(KeeperError::Snapshot(_)) => {}
                other => panic!("{what}: {other:?}"),
            }
        }
    }
    // Another platform's, and no word opens it.
    let mut keeper = case.test.platform.keeper.clone();
    keeper.platform_key = PlatformKey::new(&std::array::from_fn(|at| at as u8));
    for any_platform in [false, true] {
        let request = helixai::tenancy::keeper::RestoreRequest {
            file: case.file("good"),
            key: None,
            any_platform,
        };
        let refused = keeper
            .restore(request, crate::helpers::cli_origin(), &super::silent())
            .await;
        assert!(
            matches!(refused, Err(KeeperError::Snapshot(SnapshotError::OtherKey))),
            "{refused:?}"
        );
    }
    assert_eq!(state(&case).await, before);
    assert_eq!(content(&case.test.admin().await, &schema).await, rows);
    case.restore("good", None).await.expect("the good one is good");
}
