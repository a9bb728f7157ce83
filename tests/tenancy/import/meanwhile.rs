//! What becomes of a tenant while its old database is being checked: nothing is written where it will not be.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use helixai::domain::tenant::TenantStatus;
use helixai::tenancy::import::map::{GARAGE, Map};
use helixai::tenancy::import::source::Source;
use helixai::tenancy::import::{ImportError, ImportRequest, Imported, Importer};
use helixai::tenancy::keeper::{Fate, KeeperError};
use tokio::runtime::Handle;

use super::garage::dump_of;
use super::{Files, ONBOARD, import, rows};
use crate::cli::program::Program;
use crate::helpers::{TestPlatform, cli_origin};
use crate::tenancy::moves::Other;
use crate::tenancy::snapshots::{backup, tenant_key};

const LEAD: &str = "(1,'Ana','11912345678',NULL,NULL,'novo',NULL,NULL,NULL,NULL)";
/// A move that was claimed, and whose worker is gone.
const MOVE: &str = "\
insert into master.lanes (shard_id, number, login, status, created_at, updated_at)
select id, 99, 'nobodys_login', 'open', now(), now() from master.shards where name = 'other';
insert into master.tenant_moves (id, tenant_id, phase, from_shard, from_lane, from_role, to_shard, to_lane, to_role,
                                 created_at, updated_at)
select gen_random_uuid(), t.id, 'claimed', t.shard_id, t.lane, t.role_name, l.shard_id, l.number, 'nobodys_role', now(), now()
from master.tenants t, master.lanes l where l.number = 99";
const RESTORE: &str = "\
insert into master.tenant_restores (id, tenant_id, mode, outcome, lease_expires_at, created_at)
select gen_random_uuid(), id, 'over', '{}', now() + interval '1 hour', now() from master.tenants";

/// Imports a lead, and does this when the check has begun.
async fn import_while(
    test: &TestPlatform,
    meanwhile: impl Future<Output = ()> + Send + 'static,
) -> Result<Imported, ImportError> {
    let files = Files::new();
    let dump = files.write("garage.sql", dump_of(&[("leads", vec![LEAD.to_owned()])]));
    let platform = &test.platform;
    let importer = Importer {
        master: platform.master.clone(),
        shards: platform.shards.clone(),
        provisioner: platform.provisioner.clone(),
        clock: platform.clock.clone(),
    };
    let request = ImportRequest {
        key: tenant_key("garage"),
        onboarding: None,
        source: Source::Dump(dump.into()),
        map: Arc::new(Map::parse(GARAGE).expect("a map")),
        dry_run: false,
        accept_unfinished: false,
        skip_refused: false,
        into_existing: false,
        report: None,
    };
    let (handle, meanwhile) = (Handle::current(), Mutex::new(Some(Box::pin(meanwhile))));
    let done = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&done);
    let progress = Arc::new(move |what: &str, _, _| {
        if let Some(meanwhile) = meanwhile.lock().expect("no panic").take() {
            assert!(what.starts_with("checking"), "{what}");
            handle.block_on(meanwhile);
            seen.store(true, Ordering::Relaxed);
        }
    }) as _;
    let imported = importer.import(request, cli_origin(), &progress).await;
    assert!(done.load(Ordering::Relaxed));
    imported
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_imported_into_a_tenant_that_is_being_put_away() {
    let test = TestPlatform::start().await;
    test.onboard("garage", "cars").await;
    let keeper = test.platform.keeper.clone();
    let imported = import_while(&test, async move {
        keeper
            .decide_archive(&tenant_key("garage"), Fate::Kept, cli_origin())
            .await
            .expect("decided");
    })
    .await;
    let refused = matches!(imported, Err(ImportError::WrongState(TenantStatus::Archiving)));
    assert!(refused, "{:?}", imported.err());
    assert_eq!(rows(&test.admin().await).await, [0; 6]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_imported_into_or_read_from_a_tenant_that_somebody_is_restoring_or_moving() {
    let test = TestPlatform::start().await;
    test.onboard("garage", "cars").await;
    let _other = Other::add(&test.platform).await;
    let (admin, files) = (test.admin().await, Files::new());
    for (sql, back) in [
        (MOVE, "delete from master.tenant_moves"),
        (RESTORE, "delete from master.tenant_restores"),
    ] {
        let meanwhile = test.admin().await;
        let imported = import_while(&test, async move {
            meanwhile.batch_execute(sql).await.expect(sql);
        })
        .await;
        assert!(
            matches!(imported, Err(ImportError::Busy)),
            "{sql}: {:?}",
            imported.err()
        );
        assert_eq!(rows(&admin).await, [0; 6], "{sql}");
        let made = backup(&test.platform, "garage", files.path("a").into()).await;
        assert!(matches!(made, Err(KeeperError::Busy)), "{sql}: {made:?}");
        let exported = test
            .platform
            .keeper
            .export(
                &tenant_key("garage"),
                files.path("b").as_ref(),
                cli_origin(),
                &crate::tenancy::snapshots::silent(),
            )
            .await;
        assert!(matches!(exported, Err(KeeperError::Busy)), "{sql}: {exported:?}");
        admin.batch_execute(back).await.expect(back);
    }
    // Left alone, it is a tenant like any other.
    backup(&test.platform, "garage", files.path("a").into())
        .await
        .expect("a backup");
    let imported = import_while(&test, async {}).await.expect("imported");
    assert!(imported.is_done);
    assert_eq!(rows(&admin).await, [0, 1, 1, 1, 0, 0]);
}

/// The rows are there: what fails afterwards is told, and is no failure.
#[tokio::test]
async fn an_import_that_cannot_note_its_end_is_an_import() {
    let program = Program::set_up().await;
    let (admin, files) = (program.admin().await, Files::new());
    admin
        .batch_execute("alter table master.audit_log add constraint boom check (action <> 'tenant.imported')")
        .await
        .expect("a constraint");
    let dump = files.write("garage.sql", dump_of(&[("leads", vec![LEAD.to_owned()])]));
    let made = import(&program, &[&["--mysql-dump", &dump], &ONBOARD[..]].concat())
        .expect(0)
        .json();
    assert_eq!(made["imported"], true, "{made}");
    assert!(made["tenant"]["api_key"].is_string(), "{made}");
    assert!(
        made["warnings"].to_string().contains("audit has no line"),
        "{made}"
    );
    assert_eq!(rows(&admin).await, [0, 1, 1, 1, 0, 0]);
}

/// A connection that is lost at the commit: what became of it is found out.
#[tokio::test]
async fn an_import_that_loses_the_database_at_its_commit_says_what_became_of_it() {
    let program = Program::set_up().await;
    program.onboard("garage", "cars");
    let (admin, files) = (program.admin().await, Files::new());
    admin
        .batch_execute(
            "create function public.boom() returns trigger language plpgsql security definer as
             $$ begin perform pg_terminate_backend(pg_backend_pid()); return new; end $$;
             create constraint trigger boom after insert on tenant_garage.leads deferrable initially deferred
             for each row execute function public.boom()",
        )
        .await
        .expect("a trigger");
    let dump = files.write("garage.sql", dump_of(&[("leads", vec![LEAD.to_owned()])]));
    import(&program, &["--mysql-dump", &dump])
        .expect(6)
        .says("nothing is imported");
    assert_eq!(rows(&admin).await, [0; 6]);
}
