//! A charge is ordered in the transaction that decides about it; nobody has asked a gateway yet.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::db::DbError;
use crate::db::master::MasterTx;
use crate::db::master::payments::orders::{self, ChargeOrder};
use crate::db::master::payments::{accounts, cards};
use crate::domain::charge::Payee;
use crate::domain::ids::{ChargeId, GatewayAccountId, SavedCardId, TenantId};
use crate::domain::money::Cents;
use crate::domain::payment::{GatewayKind, PaymentMethod};

/// An open charge that ends sooner than this is not used again.
const USABLE: TimeDelta = TimeDelta::minutes(10);
/// How long the worker leaves a charge to whoever ordered it, who may place it at once.
const LEFT_ALONE: TimeDelta = TimeDelta::seconds(15);
/// The same for a tenant's: its own row is committed after the order, or never.
const LEFT_TO_TENANT: TimeDelta = TimeDelta::minutes(2);
/// Two who order at once: one of them sees the other's.
const TRIES: usize = 3;

/// A charge to be.
#[derive(Debug, Clone)]
pub struct NewCharge {
    /// Who pays the platform, or whose customer pays.
    pub tenant: TenantId,
    /// Who is paid.
    pub payee: Payee,
    /// The invoice, or the due in the tenant's schema.
    pub subject: Uuid,
    /// How it is to be paid. A card is the one that the tenant has saved.
    pub method: PaymentMethod,
    /// Where; `None`: where there is an account that can.
    pub gateway: Option<GatewayKind>,
    /// What is asked for; not zero.
    pub amount: Cents,
    /// Until when it can be paid.
    pub expires_at: DateTime<Utc>,
    /// When the worker places it; `None`: as soon as whoever orders it had time to do so.
    pub place_at: Option<DateTime<Utc>>,
    /// The moment.
    pub now: DateTime<Utc>,
}

/// Orders a charge, or answers the open one that asks for the same. It is placed by [`Payments::place`](super::Payments::place)
/// after the commit, else by the worker. `None` when no account that is in use collects in this way, or the tenant has saved
/// no card.
///
/// # Errors
/// When the database fails; a concurrent order of the same may be a [`DbError::Conflict`].
pub async fn order(tx: &mut MasterTx, new: &NewCharge) -> Result<Option<ChargeId>, DbError> {
    Ok(order_once(tx, new).await?.map(|(id, _)| id))
}

/// As [`order`], also answering whether the charge is new.
///
/// # Errors
/// As [`order`].
pub(super) async fn order_once(
    tx: &mut MasterTx,
    new: &NewCharge,
) -> Result<Option<(ChargeId, bool)>, DbError> {
    let Some((account, card)) = choose(tx, new).await? else {
        return Ok(None);
    };
    let left = match new.payee {
        Payee::Platform => LEFT_ALONE,
        Payee::Tenant => LEFT_TO_TENANT,
    };
    let order = ChargeOrder {
        account,
        tenant: new.tenant,
        payee: new.payee,
        subject: new.subject,
        method: new.method,
        amount: new.amount,
        expires_at: new.expires_at,
        card,
        place_at: new.place_at.unwrap_or(new.now + left),
    };
    for _ in 0..TRIES {
        if let Some(same) = orders::find_same(tx, &order, new.now + USABLE).await? {
            return Ok(Some((same, false)));
        }
        if let Some(id) = orders::insert_charge(tx, &order, new.now).await? {
            return Ok(Some((id, true)));
        }
    }
    Err(DbError::Conflict("charges_subject_key".to_owned()))
}

/// Orders a charge by the first of these methods that can be had: a renewal by card, else by PIX, else by a page.
///
/// # Errors
/// As [`order`].
pub async fn order_first(
    tx: &mut MasterTx,
    new: &NewCharge,
    methods: &[PaymentMethod],
) -> Result<Option<ChargeId>, DbError> {
    for method in methods {
        let new = NewCharge {
            method: *method,
            ..new.clone()
        };
        if let Some(id) = order(tx, &new).await? {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// The account that is to collect, and the card.
async fn choose(
    tx: &mut MasterTx,
    new: &NewCharge,
) -> Result<Option<(GatewayAccountId, Option<SavedCardId>)>, DbError> {
    let wanted = |gateway: GatewayKind| new.gateway.is_none_or(|wanted| wanted == gateway);
    if new.method == PaymentMethod::Card {
        if new.payee == Payee::Tenant {
            return Ok(None);
        }
        let card = cards::find_chargeable(tx, new.tenant).await?;
        let card = card.filter(|card| wanted(card.gateway));
        return Ok(card.map(|card| (card.account, Some(card.id))));
    }
    let owner = (new.payee == Payee::Tenant).then_some(new.tenant);
    let active = accounts::list_active(tx, owner).await?;
    let chosen = GatewayKind::ALL.iter().find_map(|kind| {
        let fits = wanted(*kind) && kind.offers(new.method);
        active.iter().find(|(_, gateway)| fits && gateway == kind)
    });
    Ok(chosen.map(|(account, _)| (*account, None)))
}
