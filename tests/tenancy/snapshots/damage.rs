//! A file that is not whole and not ours changes nothing.

use helixai::tenancy::keeper::KeeperError;
use helixai::tenancy::snapshot::SnapshotError;

use super::{Case, content};

pub async fn state(case: &Case) -> Vec<String> {
    let admin = case.test.admin().await;
    let rows = admin
        .query(
            "select 'tenant ' || t::text from master.tenants t
             union all select 'lane ' || l.login || l.tenants_count from master.lanes l
             union all select 'schema ' || nspname from pg_namespace where nspname !~ '^pg_'
             union all select 'role ' || rolname from pg_roles, helixai.shard where starts_with(rolname, role_prefix)
             union all select 'restore ' || r::text from master.tenant_restores r
             union all select 'audit ' || id::text from master.audit_log
             order by 1",
            &[],
        )
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn a_file_that_is_cut_off_altered_or_foreign_changes_nothing() {
    let case = Case::start().await;
    let schema = case.garage("garage").await;
    case.backup("garage", "good").await;
    let good = std::fs::read(case.file("good")).unwrap();
    let (before, rows) = (
        state(&case).await,
        content(&case.test.admin().await, &schema).await,
    );
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
    bad.push(("a dump".to_owned(), b"PGDMP\x01\x0f\x00\x04\x08".to_vec()));
    bad.push(("nothing".to_owned(), Vec::new()));
    let mut newer = good.clone();
    newer[9] = 2;
    bad.push(("a newer format".to_owned(), newer));
    for (what, bytes) in bad {
        std::fs::write(case.file("bad"), bytes).unwrap();
        // Over the tenant that lives, and as a copy.
        for key in [None, Some("copy")] {
            match case.restore("bad", key).await {
                Err(KeeperError::Snapshot(SnapshotError::Io(error))) => panic!("{what}: {error}"),
                Err(KeeperError::Snapshot(_)) => {}
                other => panic!("{what}: {other:?}"),
            }
        }
    }
    assert!(case.restore("no-such-file", None).await.is_err());
    assert_eq!(state(&case).await, before);
    assert_eq!(content(&case.test.admin().await, &schema).await, rows);
    case.restore("good", None).await.expect("the good one is good");
}

#[tokio::test]
async fn rows_that_the_database_refuses_change_nothing() {
    let case = Case::start().await;
    let schema = case.garage("garage").await;
    let admin = case.test.admin().await;
    // A snapshot of a schema that somebody has tampered with: whole, ours, and not what the template would hold.
    admin
        .batch_execute(&format!(
            "alter table {schema}.leads drop constraint leads_stage_fkey; update {schema}.leads set stage = 'nowhere'"
        ))
        .await
        .unwrap();
    case.backup("garage", "a").await;
    let (before, rows) = (state(&case).await, content(&admin, &schema).await);
    for key in [None, Some("copy")] {
        let refused = case.restore("a", key).await.unwrap_err().to_string();
        assert!(refused.contains("leads_stage_fkey"), "{refused}");
    }
    assert_eq!(state(&case).await, before);
    assert_eq!(content(&admin, &schema).await, rows);
    // A column that the template does not have.
    admin
        .batch_execute(&format!("alter table {schema}.contacts add column shoe_size int"))
        .await
        .unwrap();
    case.backup("garage", "b").await;
    let refused = case.restore("b", Some("copy")).await.unwrap_err().to_string();
    assert!(refused.contains("contacts"), "{refused}");
    // A version that this program does not have.
    admin
        .batch_execute(&format!(
            "alter table {schema}.contacts drop column shoe_size;
             insert into {schema}.schema_history_core values (999, 'later', '', '0')"
        ))
        .await
        .unwrap();
    case.backup("garage", "c").await;
    let refused = case.restore("c", Some("copy")).await.unwrap_err().to_string();
    assert!(refused.contains("newer program"), "{refused}");
    assert_eq!(
        state(&case).await.len(),
        before.len() + 2,
        "two more backups were noted, nothing else"
    );
}
