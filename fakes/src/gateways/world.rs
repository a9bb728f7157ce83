//! What a gateway keeps, and the ways it is changed: by its API, by payers, by time.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::change::Change;
use super::event::{self, Delivery, Event};
use super::fault::Fault;
use super::payment::Payment;
use super::reply::{Logged, Reply, Request};
use super::{Account, Kind, asaas, mercado_pago, stripe};

/// A gateway without its server.
pub struct World {
    pub kind: Kind,
    pub client: reqwest::Client,
    book: Mutex<Book>,
}

/// A card that may be charged again.
pub struct Card {
    pub account: String,
    pub customer: String,
    pub token: String,
}

/// A payer whom Asaas knows.
pub struct Customer {
    pub account: String,
    pub id: String,
    pub document: String,
}

/// All that it keeps.
pub struct Book {
    pub kind: Kind,
    pub address: SocketAddr,
    pub now: Option<DateTime<Utc>>,
    pub accounts: HashMap<String, Account>,
    pub payments: Vec<Payment>,
    pub cards: Vec<Card>,
    pub customers: Vec<Customer>,
    /// By account and idempotency key: what was asked, and what was answered.
    kept: HashMap<String, (String, Reply)>,
    pub faults: Vec<Fault>,
    pub log: Vec<Logged>,
    pub events: Vec<Event>,
    pub delivery: Delivery,
    pub stale: bool,
    pub decline_cards: bool,
    last_number: u64,
}

impl World {
    pub fn new(kind: Kind, address: SocketAddr) -> Self {
        Self {
            kind,
            client: reqwest::Client::builder()
                .timeout(Duration::from_secs(10))
                .no_proxy()
                // It is used from several runtimes.
                .pool_max_idle_per_host(0)
                .build()
                .expect("a client without TLS of its own"),
            book: Mutex::new(Book {
                kind,
                address,
                now: None,
                accounts: HashMap::new(),
                payments: Vec::new(),
                cards: Vec::new(),
                customers: Vec::new(),
                kept: HashMap::new(),
                faults: Vec::new(),
                log: Vec::new(),
                events: Vec::new(),
                delivery: Delivery::default(),
                stale: false,
                decline_cards: false,
                last_number: 1_320_459_875,
            }),
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the API answers, and the news that there are since.
    pub fn answer(&self, request: &Request) -> (Reply, Vec<Event>) {
        let mut book = self.lock();
        let begun = book.events.len();
        let reply = match self.kind {
            Kind::MercadoPago => mercado_pago::answer(&mut book, request),
            Kind::Stripe => stripe::answer(&mut book, request),
            Kind::Asaas => asaas::answer(&mut book, request),
        };
        (reply, book.events[begun..].to_vec())
    }

    pub async fn change(&self, name: &str, change: Change) -> Result<Payment, String> {
        let (payment, events) = {
            let mut book = self.lock();
            let begun = book.events.len();
            let place = book.find(name).ok_or_else(|| format!("no payment {name}"))?;
            let place = book.change(place, &change)?;
            (book.payments[place].clone(), book.events[begun..].to_vec())
        };
        self.announce(&events, true).await;
        Ok(payment)
    }
}

impl Book {
    #[expect(
        clippy::disallowed_methods,
        reason = "a server of its own has a clock of its own"
    )]
    pub fn now(&self) -> DateTime<Utc> {
        self.now.unwrap_or_else(Utc::now)
    }

    pub fn add_account(&mut self, account: Account) {
        self.accounts.insert(account.key.clone(), account);
    }

    /// A number that nobody had yet.
    pub fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// The newest payment of this id, page or reference, of whatever account; one that is a payment before a mere page.
    pub fn find(&self, name: &str) -> Option<usize> {
        let called = |hidden| {
            self.payments
                .iter()
                .rposition(|payment| payment.hidden == hidden && payment.is_called(name))
        };
        // A page that was paid is still a page: to pay at it again, it is named by its own id.
        let page = self
            .payments
            .iter()
            .rposition(|payment| payment.hidden && payment.page.as_deref() == Some(name));
        page.or_else(|| called(false)).or_else(|| called(true))
    }

    /// The place of an account's payment.
    pub fn own(&self, account: &str, is: impl Fn(&Payment) -> bool) -> Option<usize> {
        self.payments
            .iter()
            .position(|payment| payment.account == account && is(payment))
    }

    /// The payment as it is told: once, when that was asked for, as it was before its last change.
    pub fn told(&mut self, place: usize) -> Payment {
        let payment = &self.payments[place];
        match &payment.before {
            Some(before) if std::mem::take(&mut self.stale) => (**before).clone(),
            _ => payment.clone(),
        }
    }

    /// Does something to a payment, and writes its news; answers where the changed payment is.
    pub fn change(&mut self, place: usize, change: &Change) -> Result<usize, String> {
        let now = self.now();
        let refund = self.number().to_string();
        let mut payment = self.payments[place].clone();
        let is_page = payment.hidden;
        if is_page && !matches!(change, Change::Expire | Change::Cancel) {
            payment.hidden = false;
            // At a page of Mercado Pago a payer may pay twice; Stripe's is closed once it is paid.
            if self.kind == Kind::MercadoPago {
                payment.id = self.number().to_string();
                payment.created_at = now;
            }
        }
        change.apply(&mut payment, &refund, now)?;
        self.keep_card(&mut payment);
        let place = if is_page && !payment.hidden && self.kind == Kind::MercadoPago {
            self.payments.push(payment);
            self.payments.len() - 1
        } else {
            self.payments[place] = payment;
            place
        };
        event::write(self, place, false);
        Ok(place)
    }

    fn keep_card(&mut self, payment: &mut Payment) {
        if payment.state != super::State::Paid || !payment.save_card || payment.card.is_some() {
            return;
        }
        let number = self.number();
        let customer = payment.customer.get_or_insert_with(|| format!("cus_{number}"));
        let token = format!("pm_{number}");
        payment.card = Some(token.clone());
        self.cards.push(Card {
            account: payment.account.clone(),
            customer: customer.clone(),
            token,
        });
    }

    pub fn has_card(&self, account: &str, customer: &str, token: &str) -> bool {
        self.cards.iter().any(|card| {
            (card.account.as_str(), card.customer.as_str(), card.token.as_str()) == (account, customer, token)
        })
    }

    /// Does something once for this key of this account: the same again is answered the same, something else `conflict`.
    pub fn once(
        &mut self,
        account: &str,
        key: &str,
        request: &Request,
        conflict: Reply,
        act: impl FnOnce(&mut Self) -> Reply,
    ) -> Reply {
        if key.is_empty() {
            return act(self);
        }
        let name = format!("{account} {key}");
        match self.kept.get(&name) {
            Some((asked, reply)) if *asked == request.fingerprint() => return reply.clone(),
            Some(_) => return conflict,
            None => {}
        }
        let reply = act(self);
        if reply.status < 300 || reply.status == 402 {
            self.kept.insert(name, (request.fingerprint(), reply.clone()));
        }
        reply
    }

    /// Stripe keeps an error of its own, too, and answers it for ever.
    pub fn keep_failure(&mut self, request: &Request, reply: &Reply) {
        let key = request.header("idempotency-key");
        if self.kind == Kind::Stripe && !key.is_empty() && reply.status >= 500 {
            let name = format!("{} {key}", request.bearer());
            self.kept.insert(name, (request.fingerprint(), reply.clone()));
        }
    }
}
