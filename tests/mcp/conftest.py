from tests.journeys.conftest import cdesk

__all__ = ["cdesk"]
