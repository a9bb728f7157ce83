//! People write to all bots at once, each for the first time, and are greeted.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::bots::{Bots, until};
use crate::program::{AT_ONCE, Program};

/// What became of messages.
pub struct Answered {
    pub channel: &'static str,
    pub messages: usize,
    /// From the first of them to the last answer.
    pub took: Duration,
    /// What the program has used of the cores.
    pub used: Duration,
}

/// So many messages on each channel that has bots.
pub async fn run(program: &Program, bots: &Bots, messages: usize) -> anyhow::Result<Vec<Answered>> {
    let mut all = Vec::new();
    if !bots.tokens.is_empty() {
        let answered = measure(program, "Telegram", messages, telegram(bots, messages)).await?;
        all.push(answered);
    }
    if !bots.phones.is_empty() {
        let answered = measure(program, "WhatsApp", messages, whatsapp(bots, messages)).await?;
        all.push(answered);
    }
    Ok(all)
}

async fn measure(
    program: &Program,
    channel: &'static str,
    messages: usize,
    exchange: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<Answered> {
    let (used, begun) = (program.used()?, Instant::now());
    exchange.await?;
    Ok(Answered {
        channel,
        messages,
        took: begun.elapsed(),
        used: program.used()? - used,
    })
}

async fn telegram(bots: &Bots, messages: usize) -> anyhow::Result<()> {
    let before = bots.telegram.sent_by_all();
    for (token, person) in bots.tokens.iter().cycle().zip(1_000_000_i64..).take(messages) {
        bots.telegram.person_writes(token, person, "Oi, tem Uno?");
        tokio::task::yield_now().await;
    }
    let sent = || bots.telegram.sent_by_all() - before;
    until("messages of Telegram answered", messages, sent).await
}

async fn whatsapp(bots: &Bots, messages: usize) -> anyhow::Result<()> {
    let before = bots.whatsapp.sent_by_all();
    stream::iter(bots.phones.iter().cycle().zip(0..messages))
        .map(|(phone, person)| async move {
            let person = format!("55219{:08}", 20_000_000 + person);
            bots.whatsapp
                .send_text(&person, phone, "Oi, tem Uno?")
                .await
                .map(|_| ())
        })
        .buffer_unordered(AT_ONCE)
        .try_for_each(|()| std::future::ready(Ok(())))
        .await?;
    let sent = || bots.whatsapp.sent_by_all() - before;
    until("messages of WhatsApp answered", messages, sent).await
}
