//! Reading and building stanzas.

use anyhow::{Context, Result};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeContent, SERVER_JID};

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    wacore::time::now_secs()
}

/// An attribute as text.
pub(crate) fn attr(node: &Node, name: &str) -> Option<String> {
    let value = node.attrs.get(name)?;
    Some(value.as_str().into_owned())
}

/// An attribute as an address.
pub(crate) fn jid(node: &Node, name: &str) -> Option<Jid> {
    node.attrs.get(name)?.to_jid()
}

/// The bytes that a stanza holds.
pub(crate) fn content(node: &Node) -> Option<&[u8]> {
    match node.content.as_ref()? {
        NodeContent::Bytes(bytes) => Some(bytes),
        NodeContent::String(text) => Some(text.as_bytes()),
        NodeContent::Nodes(_) => None,
    }
}

/// The bytes of a child.
pub(crate) fn child<'a>(node: &'a Node, tag: &str) -> Result<&'a [u8]> {
    node.get_optional_child(tag)
        .and_then(content)
        .with_context(|| format!("no <{tag}> in <{}>", node.tag))
}

/// The children, none for a stanza without.
pub(crate) fn children(node: &Node) -> &[Node] {
    node.children().unwrap_or_default()
}

/// A stanza with nothing inside, for more attributes.
pub(crate) fn from_server(tag: &'static str) -> NodeBuilder {
    NodeBuilder::new(tag).attr("from", SERVER_JID)
}

/// The positive answer to a query.
pub(crate) fn result(query: &Node) -> NodeBuilder {
    let id = attr(query, "id").unwrap_or_default();
    from_server("iq").attr("type", "result").attr("id", id)
}

/// The server's word that it has a stanza.
pub(crate) fn ack(node: &Node, class: &'static str) -> Node {
    let mut ack = NodeBuilder::new("ack")
        .attr("class", class)
        .attr("id", attr(node, "id").unwrap_or_default())
        .attr("t", now());
    if let Some(to) = jid(node, "to") {
        ack = ack.attr("from", to);
    }
    ack.build()
}

/// The end of a stream, with a number.
pub(crate) fn stream_error(code: u16) -> Node {
    NodeBuilder::new("stream:error").attr("code", code).build()
}

/// The end of a stream because the device is elsewhere (`replaced`), or is no device any more (`device_removed`).
pub(crate) fn conflict(kind: &'static str) -> Node {
    let conflict = NodeBuilder::new("conflict").attr("type", kind);
    NodeBuilder::new("stream:error")
        .children([conflict.build()])
        .build()
}
