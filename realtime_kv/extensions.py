"""The Flask extensions, created once; `create_app` connects them to an app."""

from flask_login import LoginManager
from flask_socketio import SocketIO
from flask_sqlalchemy import SQLAlchemy

from realtime_kv.storage.models import Base

db = SQLAlchemy(model_class=Base)
login_manager = LoginManager()
socketio = SocketIO()
