import java.util.Map;

/** A message in the form that the API takes; what it has not is null. */
final class Sent {
    String type;
    String userId;
    String anonymousId;
    String previousId;
    String groupId;
    String event;
    String name;
    String category;
    Map<String, Object> properties;
    Map<String, Object> traits;
}
