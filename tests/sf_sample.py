def sample():
    from cdesk.sample import scene
    return []
