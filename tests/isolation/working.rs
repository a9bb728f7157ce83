//! What the revokes of [`super::escapes`] must not break: everything that a tenant's statements are made of.

use super::intruder::Intruder;

fn one(value: &str) -> Vec<Vec<String>> {
    vec![vec![value.to_owned()]]
}

#[tokio::test]
async fn a_tenant_reads_and_writes_as_ever() {
    let intruder = Intruder::start().await;
    let contact = "insert into contacts (id, name, phone, created_at, updated_at)
                   values ('00000000-0000-7000-8000-000000000001', 'Ana', '+5511999990000', now(), now())";
    let lead = "insert into leads (id, name, stage, contact_id, created_at, updated_at)
                values ('00000000-0000-7000-8000-000000000002', 'João', 'new',
                        '00000000-0000-7000-8000-000000000001', now(), now())";
    let vehicle = "insert into vehicles (id, title, make, model, status, created_at, updated_at)
                   values ('00000000-0000-7000-8000-000000000003', 'Gol automático', 'VW', 'Gol', 'draft', now(), now())";
    for (statements, expected) in [
        (format!("{contact}; select name from contacts"), one("Ana")),
        (format!("{contact} returning name"), one("Ana")),
        (
            format!("{contact}; update contacts set name = 'Bia' returning name"),
            one("Bia"),
        ),
        (
            format!("{contact}; delete from contacts returning name"),
            one("Ana"),
        ),
        (
            format!("{contact}; {contact} on conflict (id) do update set name = 'again' returning name"),
            one("again"),
        ),
        (
            format!(
                "{contact}; with c as (update contacts set name = 'c' returning name) select name from c"
            ),
            one("c"),
        ),
        (
            format!("{contact}; {lead}; select c.name from leads l join contacts c on c.id = l.contact_id"),
            one("Ana"),
        ),
        (
            format!("{contact}; {lead}; delete from contacts; select contact_id is null from leads"),
            one("t"),
        ),
        (format!("{lead}; select 1"), vec![]),
        (
            format!("{contact}; {lead}; select name from leads where search @@ to_tsquery('simple', 'joao')"),
            one("João"),
        ),
        (
            format!("{vehicle}; select title from catalog_items"),
            one("Gol automático"),
        ),
        (
            format!(
                "{vehicle}; select title from vehicles where search @@ plainto_tsquery('portuguese', 'automatico')"
            ),
            one("Gol automático"),
        ),
        (
            format!("{contact}; select name from contacts for update"),
            one("Ana"),
        ),
        (
            format!("{contact}; select name from contacts for update skip locked"),
            one("Ana"),
        ),
        (
            format!("{contact}; select jsonb_agg(to_jsonb(c) -> 'name') from contacts c"),
            one("[\"Ana\"]"),
        ),
        (
            "select code from lead_stages where code = 'new'".to_owned(),
            one("new"),
        ),
        (
            "select 1 where gen_random_uuid() is not null and now() is not null".to_owned(),
            one("1"),
        ),
        (
            "insert into audit_log (id, at, actor_kind, action, entity)
             values (gen_random_uuid(), now(), 'system', 'test', 'test'); select action from audit_log"
                .to_owned(),
            one("test"),
        ),
        ("select 1 from helixai.note_due(now())".to_owned(), one("1")),
        (
            "savepoint s; select 1; rollback to s; select 2".to_owned(),
            vec![vec!["1".into()], vec!["2".into()]],
        ),
        ("declare c cursor for select 1; fetch c".to_owned(), one("1")),
        ("prepare p as select 1; execute p".to_owned(), one("1")),
    ] {
        let outcome = intruder.as_tenant(&statements).await;
        if statements.starts_with(lead) {
            assert_eq!(outcome, Err("23503".to_owned()), "foreign keys hold");
        } else {
            assert_eq!(outcome, Ok(expected), "{statements}");
        }
    }
    let plan = intruder
        .as_tenant("explain analyze select name from contacts")
        .await
        .unwrap();
    assert!(plan[0][0].contains("contacts"), "{plan:?}");
}

#[tokio::test]
async fn a_tenant_s_copy_works_both_ways() {
    use actix_web::web::Bytes;
    use futures_util::{SinkExt as _, TryStreamExt as _};

    let intruder = Intruder::start().await;
    let client = &intruder.client;
    client
        .batch_execute(&format!(
            "begin; set local search_path = tenant_alpha, pg_temp; set local role {}",
            intruder.role
        ))
        .await
        .unwrap();
    let sink = client
        .copy_in("copy lead_stages (code, name_pt, name_en, position) from stdin")
        .await
        .unwrap();
    let mut sink = std::pin::pin!(sink);
    sink.send(Bytes::from_static(b"visit\tVisita\tVisit\t9\n"))
        .await
        .unwrap();
    assert_eq!(sink.finish().await.unwrap(), 1);
    let stream = client
        .copy_out("copy (select code from lead_stages where position = 9) to stdout")
        .await
        .unwrap();
    let rows: Vec<Bytes> = stream.try_collect().await.unwrap();
    assert_eq!(rows.concat(), b"visit\n");
    client.batch_execute("rollback").await.unwrap();
}
