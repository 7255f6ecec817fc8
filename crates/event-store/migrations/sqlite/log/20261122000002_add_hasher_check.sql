-- Tells the key of the look-up hashes from any other: a keyed hash of a constant, cut off. Written by the first process
-- that has such a key; empty until then.
alter table store add column hasher_check blob;
