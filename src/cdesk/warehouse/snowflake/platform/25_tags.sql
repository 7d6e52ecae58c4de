-- Which columns name a person. The tag carries the mask: a column that gets the tag is masked.
-- Takes: CLAUDE_STREAM_V2, MASK_PERSON. Gives: the tag PERSON with its policy, set on the columns that a reader can reach.
-- The policy is put on the tag first, so that no column is ever tagged and not masked.
CREATE TAG IF NOT EXISTS PERSON ALLOWED_VALUES 'name';
ALTER TAG PERSON SET MASKING POLICY MASK_PERSON;
ALTER TABLE CLAUDE_STREAM_V2 MODIFY COLUMN customer SET TAG PERSON = 'name';
ALTER TABLE CLAUDE_STREAM_V2 MODIFY COLUMN _told_customer SET TAG PERSON = 'name';
