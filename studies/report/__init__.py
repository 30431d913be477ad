"""What people read of a study: tables, figures, the report, its status and cost, and what they export."""
