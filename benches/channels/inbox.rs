//! The inbox of a tenant with very many messages: the program over HTTP against the statement that one would write by hand.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use reqwest::Method;
use tokio_postgres::{Client, Statement};

use crate::place::{Place, Tenant};
use crate::program::Program;
use crate::{Options, table};

/// Rows that a page shows.
const PAGE: usize = 50;
/// How far down the later page is, in pages of 200.
const DEEP: usize = 10;

/// One thing that is asked for.
struct Question {
    name: &'static str,
    path: String,
    bare: Statement,
    program: Vec<Duration>,
    sql: Vec<Duration>,
    ratios: Vec<f64>,
}

/// Fills the inbox and asks, round by round.
pub async fn measure(options: &Options, place: &Place, tenant: &Tenant) -> anyhow::Result<()> {
    let inside = place.inside(tenant).await?;
    fill(&inside, options).await?;
    let program = Program::start(place, &[("channels.run", "false")]).await?;
    let mut questions = questions(&program, tenant, &inside, options).await?;
    for question in &mut questions {
        question.round(&program, tenant, &inside, 20).await?;
        question.forget();
    }
    for _ in 0..options.rounds {
        for question in &mut questions {
            question
                .round(&program, tenant, &inside, options.requests)
                .await?;
        }
    }
    table::inbox(options.inbox, options.conversations);
    for mut question in questions {
        question.program.sort_unstable();
        question.sql.sort_unstable();
        question.ratios.sort_by(f64::total_cmp);
        let ratio = question.ratios.get(question.ratios.len() / 2);
        table::asked(
            question.name,
            &question.program,
            &question.sql,
            ratio.copied().unwrap_or(f64::NAN),
        );
    }
    program.stop().await
}

impl Question {
    async fn round(
        &mut self,
        program: &Program,
        tenant: &Tenant,
        inside: &Client,
        requests: usize,
    ) -> anyhow::Result<()> {
        let (mut over_http, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..requests {
            over_http.push(program.time(tenant, &self.path).await?);
        }
        for _ in 0..requests {
            let begun = Instant::now();
            inside.query(&self.bare, &[]).await?;
            bare.push(begun.elapsed());
        }
        over_http.sort_unstable();
        bare.sort_unstable();
        let of = |sorted: &[Duration]| table::at(sorted, 50).as_secs_f64();
        self.ratios.push(of(&over_http) / of(&bare));
        self.program.append(&mut over_http);
        self.sql.append(&mut bare);
        Ok(())
    }

    fn forget(&mut self) {
        self.program.clear();
        self.sql.clear();
        self.ratios.clear();
    }
}

async fn questions(
    program: &Program,
    tenant: &Tenant,
    inside: &Client,
    options: &Options,
) -> anyhow::Result<Vec<Question>> {
    let list = "/api/conversations?limit=50";
    let owner: String = inside
        .query_one("select id::text from users where role = 'owner'", &[])
        .await?
        .get(0);
    let one: String = inside
        .query_one(
            "select id::text from conversations order by last_message_at, id limit 1",
            &[],
        )
        .await?
        .get(0);
    let mut asked = vec![
        ("the list", list.to_owned(), conversations("true")),
        (
            "what nobody has seen (2 %)",
            format!("{list}&unread=true"),
            conversations("unread_count > 0"),
        ),
        (
            "what one person looks after (5 %)",
            format!("{list}&assigned_to={owner}"),
            conversations(&format!("assigned_to = '{owner}'")),
        ),
        (
            "a label that nothing has",
            format!("{list}&label=nada"),
            conversations("'nada' = any (labels)"),
        ),
        (
            "whoever is called Maria (10 %)",
            format!("{list}&q=maria"),
            conversations(
                "contact_id = any (array(select id from contacts where search @@ 'maria:*'::tsquery))",
            ),
        ),
        (
            "one number",
            format!("{list}&q=910000077"),
            conversations(
                "contact_id = any (array(select id from contacts where search @@ '910000077:*'::tsquery))",
            ),
        ),
        (
            "messages of a conversation",
            format!("/api/conversations/{one}/messages?limit=50"),
            messages(&one),
        ),
    ];
    if options.conversations > DEEP * 200 + PAGE {
        asked.insert(1, deep(program, tenant, inside).await?);
    }
    let mut questions = Vec::new();
    for (name, path, text) in asked {
        let bare = inside.prepare(&text).await?;
        let rows = inside.query(&bare, &[]).await?.len().min(PAGE);
        let answer = program.call(tenant, Method::GET, &path, None).await?;
        let items = answer.get("items").and_then(|items| items.as_array());
        let shown = items.context("items")?.len();
        ensure!(shown == rows, "{name}: {shown} rows, the bare SQL has {rows}");
        questions.push(Question {
            name,
            path,
            bare,
            program: Vec::new(),
            sql: Vec::new(),
            ratios: Vec::new(),
        });
    }
    Ok(questions)
}

/// A page that comes after very many.
async fn deep(
    program: &Program,
    tenant: &Tenant,
    inside: &Client,
) -> anyhow::Result<(&'static str, String, String)> {
    let mut cursor = String::new();
    for _ in 0..DEEP {
        let path = format!("/api/conversations?limit=200{cursor}");
        let page = program.call(tenant, Method::GET, &path, None).await?;
        let next = page.get("next_cursor").and_then(|next| next.as_str());
        cursor = format!("&cursor={}", next.context("another page")?);
    }
    let last = "select last_message_at::text, id::text from conversations order by last_message_at desc, id desc \
                offset $1 limit 1";
    let last = inside.query_one(last, &[&i64::try_from(DEEP * 200 - 1)?]).await?;
    let (at, id): (String, String) = (last.get(0), last.get(1));
    Ok((
        "the list, after 2000",
        format!("/api/conversations?limit=50{cursor}"),
        conversations(&format!("(last_message_at, id) < ('{at}', '{id}')")),
    ))
}

/// The list, as one would write it for this condition.
fn conversations(condition: &str) -> String {
    format!(
        "select c.id, c.channel, c.instance_id, c.status, c.assigned_to, c.labels, c.snoozed_until, c.bot_paused_until,
                c.unread_count, c.last_message_at, c.version, c.created_at, c.updated_at, k.id, k.name, k.phone,
                m.id, m.direction, m.kind, left(m.body, 200), m.created_at
         from (select * from conversations where {condition} order by last_message_at desc, id desc limit {}) c
         join contacts k on k.id = c.contact_id
         left join lateral (select id, direction, kind, body, created_at from messages where conversation_id = c.id
                            order by created_at desc, id desc limit 1) m on true
         order by c.last_message_at desc, c.id desc",
        PAGE + 1
    )
}

fn messages(conversation: &str) -> String {
    format!(
        "select id, conversation_id, direction, author, user_id, kind, body, payload, status, error, delivered_at, read_at,
                created_at
         from messages where conversation_id = '{conversation}' order by created_at desc, id desc limit {}",
        PAGE + 1
    )
}

/// As many conversations and messages as are wanted. The oldest conversation has a tenth of the messages, the others are equally long.
async fn fill(inside: &Client, options: &Options) -> anyhow::Result<()> {
    let conversations = options.conversations.max(1);
    let (long, each) = (options.inbox / 10, options.inbox * 9 / 10 / conversations);
    let statements = [
        format!(
            "insert into contacts (id, name, phone, created_at, updated_at)
             select gen_random_uuid(), (array['Ana', 'Bruno', 'Carla', 'Davi', 'Elisa', 'Fabio', 'Gloria', 'Hugo', 'Ines', 'Maria'])[1 + n % 10]
                    || ' de Souza ' || n, '+55119' || 10000000 + n, at, at
             from generate_series(0, {conversations} - 1) n,
                  lateral (select timestamptz '2026-01-01 12:00:00Z' + n * interval '1 minute') t (at)"
        ),
        // The latest word is not in the order in which people came.
        format!(
            "insert into conversations (id, contact_id, channel, instance_id, external_id, status, assigned_to, unread_count, labels,
                                        last_message_at, created_at, updated_at)
             select gen_random_uuid(), k.id, 'whatsapp_web', '01900000-0000-7000-8000-00000000aaaa', 'chat ' || k.n, 'open',
                    case when k.n % 20 = 7 then (select id from users where role = 'owner') end, (k.n % 50 = 3)::int,
                    case when k.n % 10 = 1 then array['vip'] else '{{}}'::text[] end, at, at, at
             from (select id, row_number() over (order by created_at) - 1 as n from contacts where phone like '+551191%') k,
                  lateral (select timestamptz '2026-03-01 12:00:00Z' + (k.n * 7919 % {conversations}) * interval '10 minutes') t (at)"
        ),
        format!(
            "insert into messages (id, conversation_id, instance_id, direction, author, kind, body, provider_message_id, status,
                                   created_at, processed_at)
             select gen_random_uuid(), c.id, c.instance_id, case when inbound then 'inbound' else 'outbound' end,
                    case when inbound then 'contact' else 'bot' end, 'text', 'Bom dia, o Uno 2013 ainda está à venda? ' || n,
                    c.external_id || ' ' || n, case when inbound then 'received' else 'sent' end, at, case when inbound then at end
             from (select id, instance_id, external_id, last_message_at,
                          case when row_number() over (order by last_message_at, id) = 1 then {long} else {each} end as many
                   from conversations) c,
                  lateral generate_series(1, c.many) n,
                  lateral (select n % 2 = 0, c.last_message_at - (c.many - n) * interval '1 minute') t (inbound, at)"
        ),
        "vacuum analyze contacts".to_owned(),
        "vacuum analyze conversations".to_owned(),
        "vacuum analyze messages".to_owned(),
        "checkpoint".to_owned(),
    ];
    for statement in statements {
        inside.batch_execute(&statement).await?;
    }
    Ok(())
}
