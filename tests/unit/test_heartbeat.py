import logging
import time

from pipeline.heartbeat import Heartbeat


def test_it_breaks_a_silence_and_only_a_silence(caplog):
    logger = logging.getLogger("test_heartbeat")
    logger.setLevel(logging.INFO)
    with Heartbeat(logger, every=0.2):
        for _ in range(5):
            time.sleep(0.1)
            logger.info("busy")
        assert [r.getMessage() for r in caplog.records] == ["busy"] * 5
        time.sleep(0.5)
    beats = [r.getMessage() for r in caplog.records[5:]]
    assert len(beats) == 2 and all(b.strip().startswith("...") for b in beats)
    time.sleep(0.3)
    assert len(caplog.records) == 7 and not logger.handlers
