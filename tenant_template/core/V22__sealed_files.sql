-- What fetches a file where the provider's name of it is not enough: its key among it, sealed for the bot that it came to. Only while
-- the file is awaited.
alter table messages add column file_sealed bytea;
alter table messages add constraint messages_file_sealed_check check (file_sealed is null or coalesce(file_state, '') = 'pending');
