//! What the bot answers to somebody whom it knows. Everything is asked as that user, in their tenant's schema.

use std::fmt::Write as _;

use chrono::{Days, NaiveDate};
use serde_json::{Map, Value, json};

use super::orders::Order;
use super::words::{self, Words};
use crate::channels::Channels;
use crate::db::master::assistant::LinkedChat;
use crate::db::master::subscriptions;
use crate::db::master::tenants::{self, ResolvedTenant};
use crate::db::master::usage::counters;
use crate::db::tenant::customers::dues::DueRange;
use crate::db::tenant::customers::{self, CustomerFilter, dues, finance, reminders};
use crate::db::tenant::leads::LeadFilter;
use crate::db::tenant::{Access, TenantDb, audit, instances, leads, settings};
use crate::db::{DbError, Refusal};
use crate::domain::day;
use crate::domain::due::DueStatus;
use crate::domain::instance::Instance;
use crate::domain::money::Cents;
use crate::domain::month::{BOOKS_TZ, local_month, next_month};
use crate::domain::page::Limit;
use crate::domain::rights::Need;
use crate::domain::settings::Settings;
use crate::domain::subscription::{Gate, Section};

/// Lines of a list.
const LINES: usize = 10;
/// How far ahead dues are shown, and how far back.
const AHEAD: Days = Days::new(15);
const BACK: Days = Days::new(60);

const INACTIVE: Words = Words::new(
    "A assinatura não permite isto agora. /assinatura",
    "The subscription does not allow this now. /subscription",
);

/// Answers an order.
///
/// # Errors
/// When a database fails.
pub(super) async fn answer(
    channels: &Channels,
    linked: LinkedChat,
    order: &Order,
) -> Result<String, DbError> {
    let tenant = tenants::find_active_by_id(&channels.master, linked.tenant).await?;
    let Some((tenant, db)) = tenant.zip(channels.db(linked.tenant).await?) else {
        return Ok(words::NOT_ANY_MORE.to_owned());
    };
    let asked = Asked::new(channels, linked, order, tenant, db);
    match asked.answer(order).await {
        Err(error) => match error.refusal() {
            // Who is not there any more, or may not.
            Some(Refusal::Credentials | Refusal::Rights) => Ok(words::NOT_ANY_MORE.to_owned()),
            _ => Err(error),
        },
        answered => answered,
    }
}

struct Asked<'a> {
    channels: &'a Channels,
    tenant: ResolvedTenant,
    db: TenantDb,
    access: Access,
}

impl<'a> Asked<'a> {
    fn new(
        channels: &'a Channels,
        linked: LinkedChat,
        order: &Order,
        tenant: ResolvedTenant,
        db: TenantDb,
    ) -> Self {
        let need = match order {
            Order::Switch { .. } => Need::Manage,
            _ => Need::Trade,
        };
        Self {
            access: Access::user(linked.user, need, channels.clock.now()),
            channels,
            tenant,
            db,
        }
    }

    async fn answer(&self, order: &Order) -> Result<String, DbError> {
        let now = self.access.now();
        let stored = self.db.run(&self.access, settings::find_all()).await?.output;
        let settings = Settings::of(&self.tenant.name, &stored.values);
        let section = match order {
            Order::Start(_) | Order::Help | Order::Unknown | Order::Leave | Order::Subscription => {
                Section::Billing
            }
            Order::Switch { .. } => Section::Write,
            _ => Section::Read,
        };
        let gate = Gate::of(self.tenant.subscription.as_ref().map(|state| state.at(now)));
        if !gate.allows(section) {
            return Ok(INACTIVE.of(settings.language).to_owned());
        }
        match order {
            Order::Leads => self.leads(&settings).await,
            Order::Customers => self.customers(&settings).await,
            Order::Dues => self.dues(&settings).await,
            Order::Reminders => self.reminders(&settings).await,
            Order::Report => self.report(&settings).await,
            Order::Subscription => self.subscription(&settings).await,
            Order::Bots => Ok(list(&settings, self.bots().await?.iter().map(line_of_bot))),
            Order::Switch { bot, on } => self.switch(&settings, bot, *on).await,
            Order::Unknown => Ok(words::UNKNOWN.of(settings.language).to_owned()),
            Order::Start(_) | Order::Help | Order::Leave => Ok(format!(
                "{}\n\n{}",
                settings.company_name,
                words::HELP.of(settings.language)
            )),
        }
    }

    async fn leads(&self, settings: &Settings) -> Result<String, DbError> {
        let nothing = LeadFilter {
            stage: None,
            source: None,
            assigned_to: None,
            contact: None,
            text: None,
        };
        let newest = leads::list(nothing, None, some());
        let newest = self.db.run(&self.access, newest).await?.output;
        let (today, zone) = (settings.today(self.access.now()), settings.time_zone.tz());
        let of_today = newest
            .iter()
            .filter(|lead| day::local(lead.created_at, zone) == today);
        Ok(list(
            settings,
            of_today.map(|lead| {
                let phone = lead.phone.as_deref().unwrap_or_default();
                format!("• {} {phone} ({})", lead.name, lead.stage)
            }),
        ))
    }

    async fn customers(&self, settings: &Settings) -> Result<String, DbError> {
        let nobody = CustomerFilter {
            status: None,
            plan: None,
            text: None,
        };
        let newest = customers::list(nobody, None, some());
        let newest = self.db.run(&self.access, newest).await?.output;
        Ok(list(
            settings,
            newest.iter().map(|customer| {
                let name = customer.contact.name.as_deref().unwrap_or("—");
                let price = customer.monthly_cents.map(money).unwrap_or_default();
                format!("• {name} {price} ({})", customer.status)
            }),
        ))
    }

    async fn dues(&self, settings: &Settings) -> Result<String, DbError> {
        let today = settings.today(self.access.now());
        let range = DueRange {
            status: Some(DueStatus::Open.as_str()),
            from: today.checked_sub_days(BACK).unwrap_or(today),
            until: today.checked_add_days(AHEAD).unwrap_or(today),
            customer: None,
        };
        let open = self
            .db
            .run(&self.access, dues::list(range, None, some()))
            .await?
            .output;
        Ok(list(
            settings,
            open.iter().map(|due| {
                let late = if due.due_date < today { "⚠️" } else { "•" };
                let name = due.customer.name.as_deref().unwrap_or("—");
                let left = money(due.amount_cents - due.paid_cents);
                format!(
                    "{late} {} {name}: {left} ({})",
                    day_of(due.due_date),
                    due.description
                )
            }),
        ))
    }

    async fn reminders(&self, settings: &Settings) -> Result<String, DbError> {
        let newest = reminders::list_newest(i64::try_from(LINES).unwrap_or(i64::MAX));
        let newest = self.db.run(&self.access, newest).await?.output;
        let zone = settings.time_zone.tz();
        Ok(list(
            settings,
            newest.iter().map(|reminder| {
                let sign = if reminder.was_written { "✉️" } else { "⚠️" };
                let name = reminder.name.as_deref().unwrap_or("—");
                let decided = day_of(day::local(reminder.decided_at, zone));
                format!(
                    "{sign} {decided} {name}: {} {}",
                    money(reminder.amount_cents),
                    day_of(reminder.due_date)
                )
            }),
        ))
    }

    async fn report(&self, settings: &Settings) -> Result<String, DbError> {
        const LINES: Words = Words::new(
            "Recebido|A receber|Atrasado|Previsto",
            "Received|Due|Late|Forecast",
        );
        let today = settings.today(self.access.now());
        let from = day::month_of(today);
        let month = finance::month(from, next_month(from), today);
        let (sums, _) = self.db.run(&self.access, month).await?.output;
        let mut text = from.format("%m/%Y").to_string();
        let cents = [
            sums.received_cents,
            sums.due_cents,
            sums.overdue_cents,
            sums.forecast_cents,
        ];
        for (name, cents) in LINES.of(settings.language).split('|').zip(cents) {
            let _ = write!(text, "\n{name}: {}", money(cents));
        }
        Ok(text)
    }

    async fn subscription(&self, settings: &Settings) -> Result<String, DbError> {
        let (master, now) = (&self.channels.master, self.access.now());
        let Some(newest) = subscriptions::find_newest(master, &self.tenant.key).await? else {
            return Ok(words::NONE.of(settings.language).to_owned());
        };
        let meters = counters::list_meters(master, self.tenant.home.id, local_month(now, BOOKS_TZ)).await?;
        let mut text = format!(
            "{} — {}\n{} → {}",
            newest.plan_name,
            newest.state.at(now),
            day_of(day::local(newest.current_period_start, BOOKS_TZ)),
            day_of(day::local(newest.current_period_end, BOOKS_TZ)),
        );
        for meter in meters {
            let limit = meter
                .limit
                .map_or_else(|| "∞".to_owned(), |limit| limit.to_string());
            let _ = write!(text, "\n{}: {} / {limit}", meter.meter, meter.used);
        }
        Ok(text)
    }

    async fn bots(&self) -> Result<Vec<Instance>, DbError> {
        Ok(self
            .db
            .run(&self.access, instances::list(None, None, Limit::MOST))
            .await?
            .output)
    }

    async fn switch(&self, settings: &Settings, name: &str, on: bool) -> Result<String, DbError> {
        let bots = self.bots().await?;
        let wanted = name.trim_start_matches('@').to_lowercase();
        let is_it = |bot: &&Instance| {
            let username = bot.username.as_deref().unwrap_or_default();
            bot.name.to_lowercase() == wanted || username.to_lowercase() == wanted
        };
        let mut named = bots.iter().filter(is_it);
        let (Some(bot), None) = (named.next(), named.next()) else {
            return Ok(words::NO_SUCH_BOT.of(settings.language).to_owned());
        };
        let fields = Map::from_iter([("is_active".to_owned(), Value::Bool(on))]);
        let batch = (
            instances::lock(bot.id, None, None),
            instances::update(bot.id, fields, None, self.access.now()),
            instances::note(bot.id),
            audit::insert_with(
                &self.access,
                "bot.status",
                "instances",
                bot.id,
                json!({ "by": "assistant" }),
            ),
        );
        let (_, bot, _, _) = self.db.run(&self.access, batch).await?.output;
        self.channels.here.wake(bot.id);
        Ok(line_of_bot(&bot))
    }
}

fn some() -> Limit {
    Limit::new(LINES.try_into().unwrap_or(1)).unwrap_or(Limit::ONE)
}

fn list(settings: &Settings, lines: impl Iterator<Item = String>) -> String {
    let lines: Vec<String> = lines.take(LINES).collect();
    if lines.is_empty() {
        return words::NONE.of(settings.language).to_owned();
    }
    lines.join("\n")
}

fn line_of_bot(bot: &Instance) -> String {
    let sign = if bot.is_active { "▶️" } else { "⏸️" };
    format!("{sign} {} ({}, {})", bot.name, bot.channel, bot.state)
}

fn money(cents: i64) -> String {
    Cents::try_from(cents).map_or_else(|_| cents.to_string(), |cents| cents.to_string())
}

fn day_of(day: NaiveDate) -> String {
    day.format("%d/%m").to_string()
}
