"""Dashboards for Grafana and rules for Prometheus, written from one set of options."""
