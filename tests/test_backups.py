from tests.backups import campaign


def test_backups_under_load_restore_a_prefix_and_tabs_that_were_ahead_resync(tmp_path):
    assert campaign(tmp_path, 3) > 0
