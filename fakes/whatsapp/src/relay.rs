//! Messages and their receipts, from device to device.

use anyhow::{Context, Result};
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp::Message;

use crate::SentText;
use crate::account::Address;
use crate::session::ids;
use crate::stanza::{ack, attr, child, children, jid, now};
use crate::world::{State, World};

/// Takes a message from a linked device: to each device that it is sealed for, the phones among them.
pub(crate) async fn message(world: &World, sender: &Address, node: &Node) -> Result<()> {
    let id = attr(node, "id").context("a message without an id")?;
    let to = jid(node, "to").context("a message to nobody")?;
    world.change(|state| state.tell(sender, ack(node, "message")));
    let proof = child(node, "device-identity").ok();
    let envelopes = node.get_optional_child("participants").map(children);
    for envelope in envelopes.unwrap_or(std::slice::from_ref(node)) {
        let name = jid(envelope, "jid").unwrap_or_else(|| to.clone());
        let (Some(target), Some(enc)) = (Address::of(&name), envelope.get_optional_child("enc")) else {
            continue;
        };
        if target.device == 0 {
            read(world, sender, &target, &id, enc).await?;
            continue;
        }
        let mut inside = vec![enc.clone()];
        inside.extend(proof.map(|proof| NodeBuilder::new("device-identity").bytes(proof).build()));
        let to = (target.phone == sender.phone).then(|| Address::of(&to)).flatten();
        world.change(|state| {
            let message = envelope_from(state, sender, to.as_ref(), &id).children(inside);
            state.deliver(&target, &id, message.build());
        });
    }
    Ok(())
}

/// A message's outside, as its receiver sees it; to the sender's own devices with the name of whom it was for.
pub(crate) fn envelope_from(
    state: &State,
    from: &Address,
    copy_of: Option<&Address>,
    id: &str,
) -> NodeBuilder {
    let (name, other) = state.named(from);
    let message = NodeBuilder::new("message")
        .attr("from", name)
        .attr("id", id)
        .attr("t", now())
        .attr("type", "text")
        .attr("notify", format!("Pessoa {}", from.phone));
    match (copy_of, other) {
        (Some(to), _) => message.attr("recipient", to.with(0).jid()),
        (None, Some((attribute, other))) => message.attr(attribute, other),
        (None, None) => message,
    }
}

/// A phone reads what is sealed for it. Its owner's own messages are copies and are not kept.
async fn read(world: &World, sender: &Address, reader: &Address, id: &str, enc: &Node) -> Result<()> {
    let Ok(secrets) = world.change(|state| {
        state
            .account(&reader.phone)
            .map(|account| account.secrets.clone())
    }) else {
        return Ok(());
    };
    let message = secrets.lock().await.open(&sender.jid(), enc).await?;
    if reader.phone == sender.phone {
        return Ok(());
    }
    world.change(|state| {
        if let Some(text) = text(&message) {
            state.sent.push(SentText {
                id: id.to_owned(),
                from: sender.phone.clone(),
                to: reader.phone.clone(),
                text,
            });
        }
        state.tell(sender, receipt_from(state, reader, id, None));
    });
    Ok(())
}

/// The text of a message that has one.
fn text(message: &Message) -> Option<String> {
    let extended = message.extended_text_message.as_option();
    let extended = extended.and_then(|extended| extended.text.clone());
    message.conversation.clone().or(extended)
}

/// A receipt, as the sender of the message sees it.
pub(crate) fn receipt_from(state: &State, reader: &Address, id: &str, kind: Option<&str>) -> Node {
    let receipt = NodeBuilder::new("receipt")
        .attr("from", state.named(reader).0)
        .attr("id", id)
        .attr("t", now());
    match kind {
        Some(kind) => receipt.attr("type", kind).build(),
        None => receipt.build(),
    }
}

/// Takes a receipt from a linked device: the message waits no more, and its sender hears of it.
pub(crate) fn receipt(world: &World, reader: &Address, node: &Node) -> Result<()> {
    let kind = attr(node, "type");
    let writer = jid(node, "to").as_ref().and_then(Address::of);
    world.change(|state| {
        state.tell(reader, ack(node, "receipt"));
        let again = kind.as_deref() == Some("retry");
        state.retries += usize::from(again);
        let ids = ids(node);
        confirm(state, reader, &ids);
        let Some(writer) = writer.filter(|writer| writer.phone != reader.phone) else {
            return;
        };
        if again {
            let mut receipt = node.clone();
            receipt.attrs.insert("from", state.named(reader).0);
            receipt.attrs.insert("t", now());
            state.tell(&writer, receipt);
            return;
        }
        for device in state.linked(&writer.phone) {
            for id in &ids {
                let receipt = receipt_from(state, reader, id, kind.as_deref());
                state.tell(&device, receipt);
            }
        }
    });
    Ok(())
}

/// Messages that a device has taken charge of.
pub(crate) fn confirm(state: &mut State, device: &Address, ids: &[String]) {
    if let Some(device) = state.device_mut(device) {
        device.waiting.retain(|(id, _)| !ids.contains(id));
    }
}
