//! What people write on their phones.

use anyhow::{Context, Result};
use wacore::messages::wrap_device_sent;
use wacore_binary::Jid;
use waproto::buffa::MessageField;
use waproto::whatsapp::Message;
use waproto::whatsapp::message::protocol_message::Type;
use waproto::whatsapp::message::{
    AppStateSyncKey, AppStateSyncKeyData, AppStateSyncKeyFingerprint, AppStateSyncKeyId,
    AppStateSyncKeyShare, ProtocolMessage,
};

use crate::account::Address;
use crate::phone::Phone;
use crate::relay::envelope_from;
use crate::stanza::now;
use crate::world::World;

/// A person writes to another.
pub(crate) async fn text(world: &World, from: &str, to: &str, text: &str) -> Result<String> {
    let message = Message {
        conversation: Some(text.to_owned()),
        ..Default::default()
    };
    send(world, from, to, &message, None).await
}

/// A person writes to another; the copy for the person's own devices.
pub(crate) async fn own_text(world: &World, owner: &str, to: &str, text: &str) -> Result<String> {
    let message = Message {
        conversation: Some(text.to_owned()),
        ..Default::default()
    };
    own(world, owner, to, message).await
}

/// A person sends something to another; the copy for the person's own devices.
pub(crate) async fn own(world: &World, owner: &str, to: &str, message: Message) -> Result<String> {
    let receiver = world.change(|state| Ok::<_, anyhow::Error>(state.account(to)?.address.clone()))?;
    let message = wrap_device_sent(message, receiver.jid().to_string());
    send(world, owner, owner, &message, Some(&receiver)).await
}

/// After a device was linked, its phone gives it the key of the account's settings; without, a client waits ten seconds
/// for it before it says that it is connected.
pub(crate) async fn share_keys(world: &World, device: &Jid) -> Result<()> {
    let address = Address::of(device).context("a device")?;
    let key = AppStateSyncKey {
        key_id: MessageField::some(AppStateSyncKeyId {
            key_id: Some(vec![0, 0, 0, 0, 0, 1]),
        }),
        key_data: MessageField::some(AppStateSyncKeyData {
            key_data: Some(rand::random::<[u8; 32]>().to_vec()),
            fingerprint: MessageField::some(AppStateSyncKeyFingerprint {
                raw_id: Some(1),
                current_index: Some(0),
                device_indexes: vec![0],
            }),
            timestamp: Some(now() * 1000),
        }),
    };
    let message = Message {
        protocol_message: MessageField::some(ProtocolMessage {
            r#type: Some(Type::APP_STATE_SYNC_KEY_SHARE),
            app_state_sync_key_share: MessageField::some(AppStateSyncKeyShare { keys: vec![key] }),
            ..Default::default()
        }),
        ..Default::default()
    };
    send(world, &address.phone, &address.phone, &message, Some(&address)).await?;
    Ok(())
}

/// Seals a message for each linked device of an account and puts it on its way.
pub(crate) async fn send(
    world: &World,
    from: &str,
    to: &str,
    message: &Message,
    copy_of: Option<&Address>,
) -> Result<String> {
    let (sender, secrets, id, devices) = world.change(|state| {
        state.account(to)?;
        let account = state.account(from)?;
        let (sender, secrets) = (account.address.clone(), account.secrets.clone());
        anyhow::Ok((sender, secrets, state.id(), state.linked(to)))
    })?;
    let is_text = message.conversation.is_some()
        || message.protocol_message.is_set()
        || message.device_sent_message.is_set();
    let kind = if is_text { "text" } else { "media" };
    let mut secrets = secrets.lock().await;
    for device in devices {
        let enc = seal(world, &mut secrets, &device, message).await?;
        world.change(|state| {
            let envelope = envelope_from(state, &sender, copy_of, &id)
                .attr("type", kind)
                .children([enc]);
            state.deliver(&device, &id, envelope.build());
        });
    }
    Ok(id)
}

async fn seal(
    world: &World,
    phone: &mut Phone,
    device: &Address,
    message: &Message,
) -> Result<wacore_binary::Node> {
    let jid = device.jid();
    if !phone.knows(&jid) {
        let bundle = world.change(|state| {
            let linked = state.device_mut(device).context("unlinked meanwhile")?;
            linked.bundle.take(device.device)
        })?;
        phone.begin(&jid, &bundle).await?;
    }
    phone.seal(&jid, message).await
}
