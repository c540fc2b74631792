"""MLflow: what is recorded of a run. Nothing else imports mlflow."""
