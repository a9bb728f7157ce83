//! All that a tenant knows of one person, to be handed over or to be forgotten (LGPD, articles 18 and 16): a contact, its leads and
//! those of its number, its conversations and what was said, and what it owes and has paid as a customer.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::customers::reminders;
use super::idempotency;
use super::query::Query;
use crate::domain::ids::ContactId;

/// What stands in the place of a name that must be there.
pub const ERASED: &str = "(apagado)";

const EXPORT: &str = "\
select jsonb_build_object(
    'contact', jsonb_build_object('id', c.id, 'name', c.name, 'phone', c.phone, 'email', c.email, 'notes', c.notes, 'opted_out_at', c.opted_out_at,
                                  'created_at', c.created_at, 'updated_at', c.updated_at),
    'leads', coalesce((
        select jsonb_agg(jsonb_build_object(
                   'id', l.id, 'name', l.name, 'phone', l.phone, 'email', l.email, 'source', l.source, 'stage', l.stage,
                   'notes', l.notes, 'created_at', l.created_at, 'updated_at', l.updated_at,
                   'history', coalesce((
                       select jsonb_agg(jsonb_build_object('at', h.at, 'field', h.field, 'from', h.from_value, 'to', h.to_value)
                                        order by h.id)
                       from lead_history h where h.lead_id = l.id and h.field = 'stage'), '[]'))
                   order by l.created_at, l.id)
        from leads l where l.contact_id = c.id or l.phone = c.phone), '[]'),
    'conversations', coalesce((
        select jsonb_agg(jsonb_build_object(
                   'id', v.id, 'channel', v.channel, 'external_id', v.external_id, 'status', v.status, 'labels', v.labels,
                   'created_at', v.created_at,
                   'notes', coalesce((
                       select jsonb_agg(jsonb_build_object('id', n.id, 'at', n.created_at, 'body', n.body)
                                        order by n.created_at, n.id)
                       from conversation_notes n where n.conversation_id = v.id), '[]'),
                   'messages', coalesce((
                       select jsonb_agg(jsonb_build_object('id', m.id, 'at', m.created_at, 'direction', m.direction,
                                                           'author', m.author, 'kind', m.kind, 'body', m.body,
                                                           'payload', m.payload, 'status', m.status, 'file', m.file_state,
                                                           'file_type', m.file_type, 'file_bytes', m.file_bytes)
                                        order by m.created_at, m.id)
                       from messages m where m.conversation_id = v.id), '[]'),
                   'scheduled_messages', coalesce((
                       select jsonb_agg(jsonb_build_object('id', s.id, 'next_at', s.next_at, 'state', s.state, 'body', s.body,
                                                           'variables', s.variables)
                                        order by s.id)
                       from scheduled_messages s where s.conversation_id = v.id), '[]'))
                   order by v.created_at, v.id)
        from conversations v where v.contact_id = c.id), '[]'),
    'customer', (
        select jsonb_build_object(
            'id', u.id, 'plan', p.name, 'price_cents', coalesce(u.price_cents, p.price_cents), 'due_day', u.due_day,
            'starts_on', u.starts_on, 'status', u.status, 'document', u.document, 'notes', u.notes,
            'created_at', u.created_at, 'updated_at', u.updated_at,
            'orders', coalesce((
                select jsonb_agg(jsonb_build_object(
                           'id', o.id, 'status', o.status, 'total_cents', o.total_cents, 'notes', o.notes,
                           'created_at', o.created_at,
                           'items', (select jsonb_agg(jsonb_build_object('description', i.description, 'quantity', i.quantity,
                                                                         'unit_cents', i.unit_cents) order by i.position)
                                     from order_lines i where i.order_id = o.id))
                       order by o.created_at, o.id)
                from orders o where o.customer_id = u.id), '[]'),
            'dues', coalesce((
                select jsonb_agg(jsonb_build_object(
                           'id', d.id, 'kind', d.kind, 'description', d.description, 'amount_cents', d.amount_cents,
                           'due_date', d.due_date, 'status', d.status, 'paid_on', d.paid_on,
                           'payments', coalesce((
                               select jsonb_agg(jsonb_build_object('kind', y.kind, 'method', y.method,
                                                                   'amount_cents', y.amount_cents, 'paid_on', y.paid_on)
                                                order by y.id)
                               from due_payments y where y.due_id = d.id), '[]'),
                           'reminders', coalesce((
                               select jsonb_agg(jsonb_build_object('days', r.days, 'decided_at', r.decided_at) order by r.days)
                               from reminders r where r.due_id = d.id), '[]'))
                       order by d.due_date, d.id)
                from dues d where d.customer_id = u.id), '[]'))
        from customers u left join customer_plans p on p.id = u.customer_plan_id where u.contact_id = c.id))
from contacts c where c.id = $1";

/// Everything, as one document. Runs after [`super::contacts::lock`].
pub fn export(id: ContactId) -> Query<Value> {
    Query::one(EXPORT, |mut row| row.next()).bind(id.as_uuid())
}

const FORGET_ANSWERS: &str = "\
delete from idempotency_keys k
where k.resource_id = $1
   or k.resource_id in (select l.id from leads l join contacts c on l.contact_id = c.id or l.phone = c.phone where c.id = $1)
   or k.resource_id in (select v.id from conversations v where v.contact_id = $1)
   or k.resource_id in (select m.id from messages m join conversations v on v.id = m.conversation_id where v.contact_id = $1)
   or k.resource_id in (select n.id from conversation_notes n join conversations v on v.id = n.conversation_id where v.contact_id = $1)
   or k.resource_id in (select s.id from scheduled_messages s join conversations v on v.id = s.conversation_id where v.contact_id = $1)
   or k.resource_id in (select c.id from customers c where c.contact_id = $1)
   or k.resource_id in (select o.id from orders o join customers c on c.id = o.customer_id where c.contact_id = $1)
   or k.resource_id in (select d.id from dues d join customers c on c.id = d.customer_id where c.contact_id = $1)";

const ERASE_LEADS: &str = "\
update leads l
set name = $3, phone = null, email = null, notes = null, contact_id = coalesce(l.contact_id, c.id),
    version = l.version + 1, updated_at = $2
from contacts c
where c.id = $1 and (l.contact_id = c.id or l.phone = c.phone)";

const ERASE_OUTBOX: &str = "\
update outbox o
set payload = '{}', last_error = null, updated_at = $2, state = case o.state when 'pending' then 'canceled' else o.state end,
    leased_until = null, leased_by = null
from messages m join conversations v on v.id = m.conversation_id
where v.contact_id = $1 and o.id = m.id";

const ERASE_MESSAGES: &str = "\
update messages m
set body = null, payload = '{}', error = null, provider_message_id = null,
    file_state = null, file_error = null, file_type = null, file_bytes = null, file_due_at = null, file_sealed = null,
    status = case when m.direction = 'outbound' and m.status = 'queued' then 'failed' else m.status end
from conversations v
where v.contact_id = $1 and m.conversation_id = v.id";

const ERASE_NOTES: &str = "\
delete from conversation_notes n using conversations v
where v.contact_id = $1 and n.conversation_id = v.id";

const DELETE_SCHEDULED: &str = "\
delete from scheduled_messages s
using conversations v
where v.contact_id = $1 and s.conversation_id = v.id";

const ERASE_CONVERSATIONS: &str = "\
update conversations
set external_id = case when external_id is not null then 'erased:' || id end, labels = '{}', status = 'closed',
    unread_count = 0, snoozed_until = null, version = version + 1, updated_at = $2
where contact_id = $1";

// What was owed and paid stays in the books; in which words somebody wrote it does not.
const ERASE_DUES: &str = "\
update dues d
set description = case d.kind when 'monthly' then d.description else $3 end, pix_code = null, version = d.version + 1, updated_at = $2
from customers c
where c.contact_id = $1 and d.customer_id = c.id";

const ERASE_ORDER_LINES: &str = "\
update order_lines l
set description = $2
from orders o join customers c on c.id = o.customer_id
where c.contact_id = $1 and l.order_id = o.id";

const ERASE_ORDERS: &str = "\
update orders o
set notes = null, version = o.version + 1, updated_at = $2
from customers c
where c.contact_id = $1 and o.customer_id = c.id";

const ERASE_CUSTOMER: &str = "\
update customers
set document = null, notes = null, status = 'canceled', next_due = null, version = version + 1, updated_at = $2
where contact_id = $1";

const ERASE_CONTACT: &str = "\
update contacts
set name = null, phone = null, email = null, notes = null, version = version + 1, updated_at = $2
where id = $1";

/// What is to be run, in this order, after [`super::contacts::lock`]: the answers that are remembered, the leads, what waits to be
/// sent, the messages, the conversations, the notes about them, what is to be said later, the customer with dues and orders, the contact; and answers of anybody that are kept no longer.
/// Each yields how many rows it has changed.
pub fn erase(id: ContactId, now: DateTime<Utc>) -> Vec<Query<u64>> {
    let timed = |text| Query::execute(text).bind(id.as_uuid()).bind(now);
    vec![
        Query::execute(FORGET_ANSWERS).bind(id.as_uuid()),
        timed(ERASE_LEADS).bind(ERASED),
        timed(ERASE_OUTBOX),
        Query::execute(ERASE_MESSAGES).bind(id.as_uuid()),
        timed(ERASE_CONVERSATIONS),
        Query::execute(ERASE_NOTES).bind(id.as_uuid()),
        Query::execute(DELETE_SCHEDULED).bind(id.as_uuid()),
        // The due before its reminders, as who pays it.
        timed(ERASE_DUES).bind(ERASED),
        reminders::cancel_of_contact(id, now),
        Query::execute(ERASE_ORDER_LINES).bind(id.as_uuid()).bind(ERASED),
        timed(ERASE_ORDERS),
        timed(ERASE_CUSTOMER),
        timed(ERASE_CONTACT),
        // Whoever looks at any of it looks again.
        Query::execute("select helixai.tell('resync', null, '{}')"),
        idempotency::forget_expired(now),
    ]
}
