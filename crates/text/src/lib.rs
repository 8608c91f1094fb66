//! Token ids to text and back, chat templates.
