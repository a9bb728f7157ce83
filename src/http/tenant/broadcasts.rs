//! `/api/broadcasts`: the same words to many contacts of a bot. Whoever wants none of it is left out (`/api/contacts/{id}/opt-out`).

use std::collections::BTreeMap;

use actix_web::{HttpResponse, get, post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::customers::unknown;
use super::words::{Words, variables};
use crate::db::tenant::schedules::broadcasts::{self, NewBroadcast};
use crate::db::tenant::schedules::{self, recipients};
use crate::db::tenant::{Batch, Query, audit, settings};
use crate::db::{DbError, Refusal};
use crate::domain::broadcast::{Broadcast, BroadcastState, PACE, PacePerMinute, Sample, Segment};
use crate::domain::ids::{BroadcastId, InstanceId, MessageTemplateId};
use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::message_variables::{Addressed, Variables};
use crate::domain::page::{Cursor, Limit, Page};
use crate::domain::settings::Settings;
use crate::domain::text::Name;
use crate::http::body::{Body, Params, instant, paging, path_id};
use crate::http::create::Creation;
use crate::http::extract::{IdempotencyHeader, ReadData, TenantAccess, TradeData};
use crate::http::problem::{Problem, ProblemBody};

/// Recipients that a preview shows.
const SAMPLES: i64 = 3;
const DRAFT: &str = BroadcastState::Draft.as_str();
const SCHEDULED: &str = BroadcastState::Scheduled.as_str();
const RUNNING: &str = BroadcastState::Running.as_str();
const PAUSED: &str = BroadcastState::Paused.as_str();
const CANCELED: &str = BroadcastState::Canceled.as_str();

/// A broadcast to be.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateBroadcast {
    /// As the tenant calls it.
    #[schema(value_type = Name)]
    name: Option<String>,
    /// The bot that tells it.
    #[schema(value_type = InstanceId)]
    instance_id: Option<String>,
    /// The words, 1 to 4,096 characters; or else `template_id`. Placeholders: `{{nome}}`, `{{primeiro_nome}}` and `{{empresa}}` are filled
    /// for each recipient (a line that needs a name which is not known is left out), all others by `variables`, also `{{var.<name>}}`.
    body: Option<String>,
    /// The words of this template, as they are now.
    #[schema(value_type = Option<MessageTemplateId>)]
    template_id: Option<String>,
    /// What fills the words: each name that they leave open, and no other.
    variables: Option<BTreeMap<String, String>>,
    /// Who is meant; everybody who has written to the bot when left out.
    segment: Option<Segment>,
    /// When it starts by itself; a draft when left out.
    #[schema(value_type = Option<DateTime<Utc>>)]
    send_at: Option<String>,
    /// Most messages in a minute: 1 to 600; 60 when left out.
    #[schema(value_type = Option<PacePerMinute>)]
    pace_per_minute: Option<i64>,
}

struct Checked {
    name: Name,
    instance: InstanceId,
    words: Words,
    variables: Variables,
    segment: Segment,
    send_at: Option<DateTime<Utc>>,
    pace: PacePerMinute,
}

impl CreateBroadcast {
    fn check(self) -> Result<Checked, FieldErrors> {
        let mut errors = FieldErrors::new();
        let name = errors.require("name", self.name, |name| Name::parse(&name));
        let instance = errors.require("instance_id", self.instance_id, |id| id.parse());
        let words = Words::require(&mut errors, self.body, self.template_id);
        let variables = variables(&mut errors, self.variables);
        let segment = errors.merge(self.segment.unwrap_or_default().check());
        let send_at = errors.check_opt("send_at", self.send_at, |at| instant(&at));
        let pace = PacePerMinute::parse(self.pace_per_minute.unwrap_or(PACE));
        let pace = errors.check("pace_per_minute", pace);
        errors.finish(|| {
            Some(Checked {
                name: name?,
                instance: instance?,
                words: words?,
                variables,
                segment: segment?,
                send_at,
                pace: pace?,
            })
        })
    }
}

/// Narrows the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListBroadcasts {
    /// In this state.
    #[param(value_type = Option<BroadcastState>)]
    state: Option<String>,
    /// 1 to 200; 50 when left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl ListBroadcasts {
    fn check(self) -> Result<(Option<&'static str>, Option<Cursor>, Limit), FieldErrors> {
        let mut errors = FieldErrors::new();
        let state = errors.check_opt("state", self.state, |state| BroadcastState::parse(&state));
        let (limit, cursor) = paging(&mut errors, self.limit, self.cursor);
        errors.finish(|| Some((state.map(BroadcastState::as_str), cursor, limit)))
    }
}

/// Who would be told if it were started now.
#[derive(Serialize, utoipa::ToSchema)]
pub struct BroadcastPreview {
    /// So many would be told.
    count: i64,
    /// So many are meant and want no broadcasts.
    opted_out: i64,
    /// Some of those who would be told.
    samples: Vec<Sample>,
}

fn refuse_creation(error: &DbError) -> Option<Problem> {
    (error.refusal() == Some(Refusal::State)).then(|| unknown("instance_id"))
}

fn refuse_action(error: &DbError) -> Option<Problem> {
    let told = "The state that the broadcast is in does not allow it.";
    (error.refusal() == Some(Refusal::State)).then(|| Problem::conflict("wrong_state", told))
}

/// List broadcasts, newest first.
#[utoipa::path(
    tag = "broadcasts", operation_id = "list_broadcasts", params(ListBroadcasts), security(("bearer" = [])),
    responses((status = 200, body = Page<Broadcast>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/broadcasts")]
pub async fn list_broadcasts(
    access: TenantAccess<ReadData>,
    params: Params<ListBroadcasts>,
) -> Result<web::Json<Page<Broadcast>>, Problem> {
    let params = access.check(params.0).await?;
    let (state, after, limit) = access.check(params.check()).await?;
    let rows = access.run(broadcasts::list(state, after, limit)).await?.output;
    Ok(web::Json(Page::from_rows(rows, limit, |row| {
        Cursor::new(row.created_at, row.id)
    })))
}

/// Add a broadcast: a draft, or one that starts at `send_at` by itself.
#[utoipa::path(
    tag = "broadcasts", operation_id = "create_broadcast", request_body = CreateBroadcast, security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")),
    responses((status = 201, body = Broadcast), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/broadcasts")]
pub async fn create_broadcast(
    access: TenantAccess<TradeData>,
    key: IdempotencyHeader,
    body: Body<CreateBroadcast>,
) -> Result<HttpResponse, Problem> {
    let form = access.check(body.value).await?;
    let form = access.check(form.check()).await?;
    let id = BroadcastId::new();
    let creation = Creation {
        operation: "create_broadcast",
        key,
        hash: body.hash,
        row: Some(id.as_uuid()),
    };
    let (answered, reply) = access.answered(&creation, form.words.find()).await?;
    if let Some(answered) = answered {
        return Ok(answered);
    }
    let body = form.words.text(reply.output)?;
    form.variables.check_for(&body)?;
    if form.send_at.is_some_and(|at| at <= access.now) {
        let passed = Invalid::new("in_the_past", "must be later than now");
        return Err(Problem::invalid_field("send_at", passed));
    }
    let new = NewBroadcast {
        name: form.name.into(),
        instance: form.instance,
        body,
        variables: form.variables,
        segment: form.segment,
        pace_per_minute: form.pace.get(),
        send_at: form.send_at,
    };
    let batch = (
        broadcasts::require_bot(form.instance),
        broadcasts::insert(id, new, &access.access),
        form.send_at.map(|at| schedules::wake(at, access.now)),
        audit::insert(&access.access, "broadcast.create", "broadcasts", id),
    );
    let show = |(_, broadcast, _, _)| broadcast;
    access.create(creation, batch, show, refuse_creation).await
}

/// Read a broadcast, and how far it has come.
#[utoipa::path(
    tag = "broadcasts", operation_id = "get_broadcast", params(("id" = BroadcastId, Path)), security(("bearer" = [])),
    responses((status = 200, body = Broadcast), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/broadcasts/{id}")]
pub async fn get_broadcast(
    access: TenantAccess<ReadData>,
    id: web::Path<String>,
) -> Result<web::Json<Broadcast>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let broadcast = access.run(broadcasts::find(id)).await?.output;
    broadcast.map(web::Json).ok_or_else(Problem::not_found)
}

/// Show who would be told if it were started now, and what some of them would read. Nothing is sent.
#[utoipa::path(
    tag = "broadcasts", operation_id = "preview_broadcast", params(("id" = BroadcastId, Path)), security(("bearer" = [])),
    responses((status = 200, body = BroadcastPreview), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/broadcasts/{id}/preview")]
pub async fn preview_broadcast(
    access: TenantAccess<TradeData>,
    id: web::Path<String>,
) -> Result<web::Json<BroadcastPreview>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let broadcast = access.run(broadcasts::find(id)).await?.output;
    let broadcast = broadcast.ok_or_else(Problem::not_found)?;
    let (instance, segment) = (broadcast.instance_id, &broadcast.segment);
    let batch = (
        recipients::count(instance, segment),
        recipients::list_samples(instance, segment, SAMPLES),
        settings::find_all(),
    );
    let (counted, samples, stored) = access.run(batch).await?.output;
    let company = Settings::of(&access.tenant.name, &stored.values).company_name;
    let samples = samples.into_iter().map(|(contact_id, name)| {
        let to = Addressed {
            name: name.clone(),
            company: company.clone(),
        };
        Sample {
            contact_id,
            name,
            body: broadcast.variables.fill(&broadcast.body, &to),
        }
    });
    Ok(web::Json(BroadcastPreview {
        count: counted.count,
        opted_out: counted.opted_out,
        samples: samples.collect(),
    }))
}

/// Does something with a broadcast that is in one of these states.
async fn act<B: Batch>(
    access: &TenantAccess<TradeData>,
    id: web::Path<String>,
    (action, states): (&'static str, Vec<&'static str>),
    change: impl FnOnce(BroadcastId) -> (Query<Broadcast>, B),
) -> Result<web::Json<Broadcast>, Problem> {
    let id: BroadcastId = access.check(path_id(&id)).await?;
    let (change, more) = change(id);
    let audit = audit::insert(&access.access, action, "broadcasts", id);
    let batch = (broadcasts::lock(id, states), change, more, audit);
    Ok(web::Json(access.run_or(batch, refuse_action).await?.output.1))
}

/// Start a draft, or one that would start by itself later. Its recipients are fixed from now on: contacts that are there now, whoever of
/// them is meant when they are looked at. Repeated while it runs, that changes nothing.
#[utoipa::path(
    tag = "broadcasts", operation_id = "start_broadcast", params(("id" = BroadcastId, Path)), security(("bearer" = [])),
    responses((status = 200, body = Broadcast), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/broadcasts/{id}/start")]
pub async fn start_broadcast(
    access: TenantAccess<TradeData>,
    id: web::Path<String>,
) -> Result<web::Json<Broadcast>, Problem> {
    let action = ("broadcast.start", vec![DRAFT, SCHEDULED, RUNNING]);
    let now = access.now;
    act(&access, id, action, |id| {
        (broadcasts::run(id, now), schedules::wake(now, now))
    })
    .await
}

/// Have a broadcast that is under way stand still. The few messages that wait to be sent already are sent.
#[utoipa::path(
    tag = "broadcasts", operation_id = "pause_broadcast", params(("id" = BroadcastId, Path)), security(("bearer" = [])),
    responses((status = 200, body = Broadcast), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/broadcasts/{id}/pause")]
pub async fn pause_broadcast(
    access: TenantAccess<TradeData>,
    id: web::Path<String>,
) -> Result<web::Json<Broadcast>, Problem> {
    let action = ("broadcast.pause", vec![RUNNING, PAUSED]);
    let now = access.now;
    act(&access, id, action, |id| {
        (broadcasts::pause(id, None, now), schedules::wake(now, now))
    })
    .await
}

/// Have a broadcast that stands still go on, whyever it does: also with the messages of a new month (`limit_exceeded`).
#[utoipa::path(
    tag = "broadcasts", operation_id = "resume_broadcast", params(("id" = BroadcastId, Path)), security(("bearer" = [])),
    responses((status = 200, body = Broadcast), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/broadcasts/{id}/resume")]
pub async fn resume_broadcast(
    access: TenantAccess<TradeData>,
    id: web::Path<String>,
) -> Result<web::Json<Broadcast>, Problem> {
    let action = ("broadcast.resume", vec![PAUSED, RUNNING]);
    let now = access.now;
    act(&access, id, action, |id| {
        (broadcasts::run(id, now), schedules::wake(now, now))
    })
    .await
}

/// Give a broadcast up, with the messages that wait to be sent. One that is over is refused with 409 `wrong_state`.
#[utoipa::path(
    tag = "broadcasts", operation_id = "cancel_broadcast", params(("id" = BroadcastId, Path)), security(("bearer" = [])),
    responses((status = 200, body = Broadcast), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/broadcasts/{id}/cancel")]
pub async fn cancel_broadcast(
    access: TenantAccess<TradeData>,
    id: web::Path<String>,
) -> Result<web::Json<Broadcast>, Problem> {
    let action = (
        "broadcast.cancel",
        vec![DRAFT, SCHEDULED, RUNNING, PAUSED, CANCELED],
    );
    let now = access.now;
    act(&access, id, action, |id| {
        (broadcasts::cancel(id, now), schedules::wake(now, now))
    })
    .await
}
