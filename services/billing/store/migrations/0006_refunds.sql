-- Each night asks for refunds that have not reached the customer; they are few.
CREATE INDEX refunds_not_back ON refunds (created_at) WHERE state <> 'succeeded';
