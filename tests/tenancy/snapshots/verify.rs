//! A snapshot is proven by what a database makes of it, and nothing of that stays.

use std::sync::{Arc, Mutex, mpsc};

use helixai::tenancy::keeper::{KeeperError, OnProgress, Rehearsed};

use super::damage::state;
use super::{Case, content, number, silent};

async fn rehearse(case: &Case, name: &str) -> Result<Rehearsed, KeeperError> {
    let keeper = &case.test.platform.keeper;
    keeper.rehearse(&case.file(name), false, &silent()).await
}

#[tokio::test]
async fn a_good_snapshot_is_proven_and_nothing_is_left_of_the_proof() {
    let case = Case::start().await;
    let schema = case.garage("garage").await;
    let made = case.backup("garage", "a").await;
    let sealed = case.backup_encrypted("garage", "b").await;
    let admin = case.test.admin().await;
    let relations = "select count(*) from pg_class";
    let before = (state(&case).await, content(&admin, &schema).await);
    let there = number(&admin, relations).await;
    for (name, made) in [("a", &made), ("b", &sealed)] {
        let found = rehearse(&case, name).await.expect("a good one");
        assert_eq!(
            (found.rows, found.tables, found.encrypted, found.id),
            (made.rows, made.tables, made.encrypted, made.id)
        );
    }
    assert_eq!(number(&admin, relations).await, there);
    assert_eq!((state(&case).await, content(&admin, &schema).await), before);
    case.sound().await;
    // Whether the tenant lives makes no difference.
    case.delete("garage").await;
    assert_eq!(rehearse(&case, "b").await.expect("a good one").rows, sealed.rows);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn while_a_snapshot_is_proven_nobody_else_sees_the_scratch_schema() {
    let case = Case::start().await;
    case.garage("garage").await;
    case.backup("garage", "a").await;
    let admin = case.test.admin().await;
    let schemas = "select count(*) from pg_namespace";
    let before = number(&admin, schemas).await;
    // The progress is told in the middle of the work, by the worker itself, which waits here.
    let (seen, compared) = mpsc::channel();
    let (go_on, waiting) = mpsc::channel::<()>();
    let waiting = Mutex::new(waiting);
    let progress: OnProgress = Arc::new(move |what: &str, done, _| {
        if what == "comparing" && done == 0 {
            seen.send(()).expect("the test waits");
            waiting
                .lock()
                .expect("one worker")
                .recv()
                .expect("the test goes on");
        }
    });
    let (keeper, file) = (case.test.platform.keeper.clone(), case.file("a"));
    let proving = tokio::spawn(async move { keeper.rehearse(&file, false, &progress).await });
    tokio::task::spawn_blocking(move || compared.recv().expect("it is compared"))
        .await
        .unwrap();
    assert_eq!(number(&admin, schemas).await, before);
    let open = "select count(*) from pg_stat_activity
                where datname = current_database() and backend_xid is not null and pid <> pg_backend_pid()";
    assert_eq!(number(&admin, open).await, 1, "it is at work");
    go_on.send(()).unwrap();
    assert!(proving.await.unwrap().unwrap().rows > 0);
    assert_eq!(number(&admin, schemas).await, before);
}

#[tokio::test]
async fn what_no_database_would_take_is_found() {
    let case = Case::start().await;
    let schema = case.garage("garage").await;
    let admin = case.test.admin().await;
    let definition = "select pg_get_constraintdef(oid) from pg_constraint
                      where conname = 'leads_stage_fkey' and connamespace = $1::text::regnamespace";
    let definition: String = admin.query_one(definition, &[&schema]).await.unwrap().get(0);
    admin
        .batch_execute(&format!(
            "alter table {schema}.leads drop constraint leads_stage_fkey; update {schema}.leads set stage = 'nowhere'"
        ))
        .await
        .unwrap();
    case.backup("garage", "a").await;
    let refused = rehearse(&case, "a").await.unwrap_err();
    assert!(
        matches!(&refused, KeeperError::Misfit(why) if why.contains("leads_stage_fkey")),
        "{refused}"
    );
    admin
        .batch_execute(&format!(
            "update {schema}.leads set stage = (select min(code) from {schema}.lead_stages);
             set search_path = {schema}; alter table leads add constraint leads_stage_fkey {definition}"
        ))
        .await
        .unwrap();
    case.sound().await;
}

#[tokio::test]
async fn rows_that_are_others_when_they_are_read_back_are_found() {
    let case = Case::start().await;
    case.garage("garage").await;
    case.backup("garage", "a").await;
    rehearse(&case, "a").await.expect("a good one");
    // A database that does not keep what it is given.
    let admin = case.test.admin().await;
    admin
        .batch_execute(
            r"create function public.spoil() returns trigger language plpgsql as
                  $$ begin if new.name = 'Cliente 123' then new.notes := 'spoilt'; end if; return new; end $$;
              create function public.spoil_leads() returns event_trigger language plpgsql as $$
              declare made text; begin
                  for made in select object_identity from pg_event_trigger_ddl_commands()
                              where command_tag = 'CREATE TABLE' and object_identity ~ '^verify_.*\.leads$' loop
                      execute format('create trigger spoil before insert on %s for each row execute function public.spoil()', made);
                  end loop;
              end $$;
              create event trigger spoil on ddl_command_end execute function public.spoil_leads()",
        )
        .await
        .unwrap();
    let refused = rehearse(&case, "a").await.unwrap_err().to_string();
    assert!(refused.contains("leads has other rows"), "{refused}");
}
